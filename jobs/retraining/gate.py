"""The gate: whether a challenger may become champion, by figures and rules alone. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from jobs.errors import JobsError

#: figures that are better when they are smaller; of all others more is better
_LESS_IS_BETTER = frozenset({"false_alarm_rate"})
#: figures that rules may name
FIGURES = frozenset(
    {"pixel_f1", "pixel_iou", "pixel_auc", "image_auc", "recall_at_fpr1", "recall_at_fpr5", "recall"} | _LESS_IS_BETTER
)
#: set and figure
Figures = Mapping[str, Mapping[str, float | None]]
#: stands for every set that has no rules of its own
ANY = "*"


class InvalidRules(JobsError):
    """Rules that nobody can judge by."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the rules of the gate cannot be used: {reason}")


@dataclass(frozen=True, kw_only=True)
class SetRules:
    """What is asked on one set, each by figure."""

    #: at least so much
    floors: Mapping[str, float] = field(default_factory=dict)
    #: at most so much
    ceilings: Mapping[str, float] = field(default_factory=dict)
    #: no more than so much worse than the champion
    most_loss: Mapping[str, float] = field(default_factory=dict)
    #: better than the champion by at least so much
    least_gain: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class GateRules:
    """All that is asked. The default: on no set much worse than the champion."""

    sets: Mapping[str, SetRules] = field(
        default_factory=lambda: {
            ANY: SetRules(most_loss={"image_auc": 0.02, "pixel_f1": 0.03, "false_alarm_rate": 0.02, "recall": 0.05})
        }
    )

    @classmethod
    def from_mapping(cls, document: Mapping[str, Any]) -> Self:
        """As a file says it: `sets: {casia1/test: {floors: {image_auc: 0.9}}}`. Raises InvalidRules."""
        if set(document) != {"sets"} or not isinstance(document["sets"], Mapping) or not document["sets"]:
            raise InvalidRules("they are `sets:` with at least one set, or * for every one, below it")
        return cls(sets={str(name): _set_rules(str(name), asked) for name, asked in document["sets"].items()})

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, and as `from_mapping` takes them."""
        return {"sets": {name: {k: v for k, v in asdict(asked).items() if v} for name, asked in self.sets.items()}}


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the gate says."""

    accepted: bool
    #: for each rule that was broken, the figure and the rule in words; empty where it was accepted
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"accepted": self.accepted, "reasons": list(self.reasons)}


def judge(rules: GateRules, champion: Figures, challenger: Figures) -> Decision:
    """Hold the challenger's figures against the rules. A figure that a rule names and nobody measured refuses it."""
    reasons: list[str] = []
    measured = {each for name in challenger for each in (name, _last(name))}
    for name in sorted(set(rules.sets) - {ANY} - measured):
        reasons.append(f"{name}: was not measured, and the rules ask for it")
    for name, figures in challenger.items():
        asked = rules.sets.get(name) or rules.sets.get(_last(name)) or rules.sets.get(ANY)
        if asked is not None:
            reasons += [f"{name}: {why}" for why in _broken(asked, champion.get(name, {}), figures)]
    return Decision(accepted=not reasons, reasons=tuple(reasons))


def _last(name: str) -> str:
    """Sets may be named by the last part of their names alone."""
    return name.rpartition("/")[2]


def _broken(rules: SetRules, before: Mapping[str, float | None], now: Mapping[str, float | None]) -> list[str]:
    found = []
    for kind, asked in asdict(rules).items():
        for figure, bound in asked.items():
            value, earlier = _known(now.get(figure)), _known(before.get(figure))
            if value is None and earlier is None and kind in ("most_loss", "least_gain"):
                continue  # there is nothing of the kind in this set, for neither
            if value is None or (earlier is None and kind in ("most_loss", "least_gain")):
                found.append(f"{figure} could not be measured, and {_words(kind, bound)} is asked")
            elif (said := _missed(kind, figure, value, earlier, bound)) is not None:
                found.append(said)
    return found


def _missed(kind: str, figure: str, value: float, earlier: float | None, bound: float) -> str | None:
    if kind == "floors":
        return None if value >= bound else f"{figure} is {value:.3f}, below {bound:g}"
    if kind == "ceilings":
        return None if value <= bound else f"{figure} is {value:.3f}, above {bound:g}"
    assert earlier is not None  # noqa: S101 - looked at before
    better = (earlier - value) if figure in _LESS_IS_BETTER else (value - earlier)
    said = f"{figure} was {earlier:.3f} and is {value:.3f}"
    slack = 1e-9  # a figure that is exactly as asked is good enough
    if kind == "most_loss":
        return None if better >= -bound - slack else f"{said}, worse by more than {bound:g}"
    return None if better >= bound - slack else f"{said}, no better by {bound:g}"


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _words(kind: str, bound: float) -> str:
    return {"floors": "at least", "ceilings": "at most", "most_loss": "a loss of at most"}.get(
        kind, "a gain of at least"
    ) + f" {bound:g}"


def _set_rules(name: str, asked: Any) -> SetRules:
    kinds = {field.name for field in SetRules.__dataclass_fields__.values()}
    if not isinstance(asked, Mapping) or not set(asked) <= kinds:
        raise InvalidRules(f"{name}: takes {', '.join(sorted(kinds))}")
    for kind, bounds in asked.items():
        if not isinstance(bounds, Mapping) or not set(bounds) <= FIGURES:
            raise InvalidRules(f"{name}, {kind}: takes figures, of {', '.join(sorted(FIGURES))}")
        if not all(isinstance(bound, int | float) and 0 <= bound <= 1 for bound in bounds.values()):
            raise InvalidRules(f"{name}, {kind}: a bound is a number from 0 to 1")
    return SetRules(**{kind: {str(k): float(v) for k, v in bounds.items()} for kind, bounds in asked.items()})
