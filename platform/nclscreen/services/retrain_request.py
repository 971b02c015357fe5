"""What is asked of a run of retraining: the same fields for every face, and for schedules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from jobs.retraining.gate import GateRules, InvalidRules
from ncl_model.errors import ConfigInvalid
from nclscreen.services import checks
from nclscreen.services.errors import InvalidRequest
from nclscreen.services.training import worker_count

#: how often a photograph that people called a false alarm stands in the list that is trained on
MOST_EMPHASIS = 100
#: the largest share of samples that say no more than "tampered with"
MOST_WEAK = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class RetrainRequest:
    """What to train on what, and what to judge it by. Paths are of the machine that `nclscreen up` runs on."""

    #: labelled and authentic photographs to train on beside what was reviewed
    data: tuple[str, ...]
    #: labelled photographs to judge by, never trained on
    evaluate: tuple[str, ...] = ()
    #: a recipe, or the name of a ready one; None: that of the champion
    recipe: str | None = None
    #: begin with the champion's weights; else from nothing
    from_champion: bool = True
    #: optimizer steps, or wall time; neither: as the recipe says
    steps: int | None = None
    minutes: float | None = None
    #: training processes on Ray, as `train` takes them; "0": one beside the dispatcher, without Ray
    workers: str = "0"
    #: how much a reviewed false alarm counts: so many times another authentic photograph
    emphasis: int = 5
    #: share of training samples that are confirmed photographs without a drawing, learnt from by their label alone,
    #: and as many authentic ones beside them, where there are such; 0: they are for judging only
    weak: float = 0.1
    #: reviewed photographs below which a run makes no sense
    least_reviews: int = 1
    #: a YAML file with the rules of the gate; None: on no set much worse than the champion
    rules: str | None = None
    #: make it champion when the gate lets it through; else leave that to a person
    promote: bool = True
    #: of its weights; None: the champion's
    name: str | None = None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """From plain JSON types. Raises InvalidRequest."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(document) - known):
            raise InvalidRequest(unknown[0], f"is unknown; there are {', '.join(sorted(known))}")
        lists = {name: tuple(document[name]) for name in ("data", "evaluate") if name in document}
        if "data" not in lists:
            raise InvalidRequest("data", "name what to train on, beside what was reviewed")
        numbers = {"workers": str(document["workers"])} if "workers" in document else {}
        return cls(**{**document, **lists, **numbers})

    @property
    def document(self) -> dict[str, Any]:
        """As JSON types, and as `of` takes it."""
        return {**asdict(self), "data": list(self.data), "evaluate": list(self.evaluate)}

    def check(self) -> None:
        """Whether it can be begun: sources are there, rules make sense. Raises InvalidRequest."""
        if not self.data:
            raise InvalidRequest("data", "name what to train on, beside what was reviewed")
        for field, paths in (("data", self.data), ("evaluate", self.evaluate)):
            for path in paths:
                if not Path(path).exists():
                    raise InvalidRequest(field, f"{path} is not there")
        if self.steps is not None and self.minutes is not None:
            raise InvalidRequest("minutes", "steps are given too, and only one of them can count")
        worker_count(self.workers)
        checks.within("emphasis", self.emphasis, 1, MOST_EMPHASIS)
        checks.within("weak", self.weak, 0, MOST_WEAK)
        self.gate_rules()

    def gate_rules(self) -> GateRules:
        """Raises InvalidRequest."""
        from ncl_model.training.recipe_text import read_mapping

        if self.rules is None:
            return GateRules()
        try:
            return GateRules.from_mapping(read_mapping(Path(self.rules)))
        except (InvalidRules, ConfigInvalid) as error:
            raise InvalidRequest("rules", str(error)) from None
