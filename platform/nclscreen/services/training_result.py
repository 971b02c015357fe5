"""How a training run ended, also one that was finished before."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ncl_model.distributed.run_place import RunPlace
    from ncl_model.training.recipe import TrainConfig

#: what a run leaves in its folder, by what it is
FILES = {"weights": "weights.safetensors", "curves": "curves.png", "metrics": "metrics.csv", "log": "log.jsonl"}
_FIGURES = ("pixel_f1", "pixel_auc", "image_auc")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingResult:
    """The end of a run."""

    #: whether it reached its steps or its time
    finished: bool
    #: whether it was finished before, so that nothing was done
    nothing_done: bool
    #: folder of the run, or s3://bucket/prefix
    folder: str
    #: optimizer steps in all; None where nothing is known
    step: int | None
    #: seconds of training in all
    elapsed_s: float | None
    #: figures of the last validation; an undefined one is None
    validation: Mapping[str, float | None]

    @classmethod
    def of(
        cls, out: str, place: RunPlace, known: Mapping[str, Any], *, finished: bool, nothing_done: bool = False
    ) -> TrainingResult:
        """From what the run told, and from its weights where they lie in a folder."""
        facts: dict[str, Any] = {
            "step": known.get("step"),
            "elapsed_s": known.get("elapsed_s"),
            "validation": {name: known[name] for name in _FIGURES if name in known},
        }
        weights = Path(place.path) / FILES["weights"]
        if place.is_folder and weights.is_file():
            from ncl_model.inference.checkpoint import load_checkpoint

            checkpoint = load_checkpoint(weights)
            done = checkpoint.provenance
            facts = {"step": done["steps"], "elapsed_s": done["elapsed_s"]}
            facts["validation"] = checkpoint.metrics.get("validation", {})
        folder = place.path if place.is_folder else out.rstrip("/")
        facts["validation"] = _without_nan(facts["validation"])
        return cls(finished=finished, nothing_done=nothing_done, folder=folder, **facts)

    @property
    def document(self) -> dict[str, Any]:
        """As JSON types."""
        facts = {name: getattr(self, name) for name in ("finished", "step", "elapsed_s", "validation")}
        return facts | {name: f"{self.folder}/{file}" for name, file in FILES.items()}


def was_finished(recipe: TrainConfig, place: RunPlace) -> bool:
    """Whether the folder holds this run's end already, so that nothing needs to be started."""
    from ncl_model.errors import CheckpointError
    from ncl_model.inference.checkpoint import load_checkpoint

    weights = Path(place.path) / FILES["weights"]
    if not place.is_folder or not weights.is_file():
        return False
    try:
        checkpoint = load_checkpoint(weights)
    except CheckpointError:
        return False  # it is written anew by the run
    done = checkpoint.provenance
    if checkpoint.config != recipe.network or "elapsed_s" not in done:
        return False
    if recipe.steps is not None:
        return bool(done["steps"] >= recipe.steps)
    return bool(done["elapsed_s"] >= 60 * (recipe.minutes or 0) - 0.1)  # rounded when it was written


def _without_nan(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in figures.items()}
