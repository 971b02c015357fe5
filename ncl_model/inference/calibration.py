"""From an image score to the false-positive rate of flagging from there on, fitted on authentic photographs.

An image is flagged when its score reaches the threshold. With N authentic photographs that nothing was trained on, of
which c reach a score s, the rate at s is (c + 1) / (N + 1): the chance that one more photograph *of the same kind*
reaches a threshold just above the next lower score is at most that, whatever the distribution (conformal p-values:
Vovk et al., Algorithmic Learning in a Random World, 2005). It is a step function on purpose: between two known scores
nothing is known, and interpolating would promise more than the photographs show. Nothing below 1 / (N + 1) can be
promised.

An editing program that merely saves a photograph once more moves its score. A calibration can therefore hold for both:
each photograph counts with the larger of its scores as it is and saved once more, and the promise is kept in either
state [ours]. Of a rule of evidence each counts with the largest score of its nine benign states.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ncl_model.errors import CalibrationInvalid, CalibrationTooCoarse
from ncl_model.intervals import upper_bound

_FORMAT = 1
#: of the thresholds that ``release`` writes into a file's metrics, the default: 5 % of authentic validation images
SUGGESTED_AT = "fpr_0.05"
#: used when a model suggests no threshold
FALLBACK_THRESHOLD = 0.5
#: 0.01 * 100 must not fall below 1 for a rounding error
_ROUNDING = 1e-9
#: how a fitted rule of evidence is called; a release fits its calibration on nine states of each photograph
_EVIDENCE = "evidence"


def states_in_words(rule: str, *, resaved: bool) -> str:
    """In which states photographs count, as the end of a clause; empty for as they are alone.

    ``rule``, ``resaved``: as in a ``Calibration``.
    """
    if not resaved:
        return ""
    again = "after any of eight benign operations" if rule == _EVIDENCE else "saved once more"
    return f", as they are or {again}"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A threshold that keeps a promise about false positives, and how firm the promise is."""

    #: flag images whose score reaches this
    threshold: float
    #: the false-positive rate that was asked for
    max_fpr: float
    #: authentic photographs of the calibration that reach the threshold, and all of them
    reached: int
    photographs: int
    #: whether the promise also holds for photographs in other states, see ``states_in_words``
    resaved: bool
    #: the score rule it holds for, in words
    rule: str
    #: with 95 % confidence the true rate on such photographs is not above this (Clopper-Pearson, one-sided)
    upper_bound: float

    def __str__(self) -> str:
        states = states_in_words(self.rule, resaved=self.resaved)
        return (
            f"threshold {self.threshold:.4f} for at most {100 * self.max_fpr:g} % false positives: {self.reached} of "
            f"{self.photographs} authentic photographs reach it{states} "
            f"(95 % upper bound {100 * self.upper_bound:.2g} %)"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, as jobs keep it: the rule is their model's, and what they keep must stay comparable."""
        return {name: value for name, value in asdict(self).items() if name != "rule"}


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Which scores authentic photographs reach."""

    #: authentic photographs it was fitted on
    photographs: int
    #: how many of them came from which set
    sources: Mapping[str, int]
    #: the score rule it belongs to, in words
    rule: str
    #: (score, photographs that reach it), scores falling and counts rising
    knots: tuple[tuple[float, int], ...]
    #: whether each photograph counts with the largest of its scores in several states, see ``states_in_words``
    resaved: bool = False

    def __post_init__(self) -> None:
        scores, counts = [s for s, _ in self.knots], [c for _, c in self.knots]
        if not self.knots or not all(math.isfinite(s) and 0 <= s <= 1 for s in scores):
            raise CalibrationInvalid("calibration: scores must lie in [0, 1]")
        falling = all(a > b for a, b in pairwise(scores))
        rising = all(a < b for a, b in pairwise(counts))
        if not falling or not rising or counts[0] < 1 or counts[-1] != self.photographs:
            raise CalibrationInvalid("calibration: scores must fall and counts rise up to the number of photographs")

    @classmethod
    def fit(cls, scores: NDArray[np.floating], *, sources: Mapping[str, int], rule: str, resaved: bool = False) -> Self:
        """Fit on the scores (N,) of authentic photographs, ``sources`` saying where they come from.

        ``resaved``: the scores are the largest of several, as described above. They must be photographs that neither
        trained the model nor chose anything. Raises ValueError without any.
        """
        if scores.size == 0:
            raise ValueError("no authentic photographs to calibrate on")
        # verdicts are float32: a threshold has to fall between those
        values, counts = np.unique(scores.astype(np.float32), return_counts=True)
        reached = np.cumsum(counts[::-1])
        knots = tuple((float(s), int(c)) for s, c in zip(values[::-1], reached, strict=True))
        return cls(photographs=int(scores.size), sources=dict(sources), rule=rule, knots=knots, resaved=resaved)

    @property
    def least_rate(self) -> float:
        """The smallest rate that can be promised, in (0, 1]."""
        highest, count = self.knots[0]
        # a threshold above the highest score is out of reach when that score is 1
        return ((0 if _just_above(highest) <= 1 else count) + 1) / (self.photographs + 1)

    def reached(self, score: float) -> int:
        """How many photographs of the calibration reach ``score``."""
        return next((count for known, count in reversed(self.knots) if known >= score), 0)

    def rate(self, score: float) -> float:
        """False-positive rate of flagging from ``score`` on, in (0, 1]; never rising with the score."""
        return (self.reached(score) + 1) / (self.photographs + 1)

    def policy(self, max_fpr: float) -> Policy:
        """The smallest threshold whose rate is at most ``max_fpr``, a rate in (0, 1].

        Raises CalibrationTooCoarse, which names the least rate that can be asked.
        """
        least = self.least_rate
        if not max_fpr >= least - _ROUNDING:
            raise CalibrationTooCoarse(max_fpr, math.ceil(least * 1e4) / 1e4, self.photographs)
        allowed = math.floor(max_fpr * (self.photographs + 1) + _ROUNDING) - 1
        # the highest score that too many reach; just above it, few enough do
        refused = next((score for score, count in self.knots if count > allowed), None)
        threshold = 0.0 if refused is None else _just_above(refused)
        reached = self.reached(threshold)
        return Policy(
            threshold=threshold,
            max_fpr=max_fpr,
            reached=reached,
            photographs=self.photographs,
            resaved=self.resaved,
            rule=self.rule,
            upper_bound=upper_bound(reached, self.photographs),
        )

    def suggested(self, max_fpr: float) -> float:
        """The threshold for a rate, or for the least one that can be promised where that is larger."""
        return self.policy(max(max_fpr, self.least_rate)).threshold

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, for a checkpoint's metadata."""
        return {
            "format": _FORMAT,
            "photographs": self.photographs,
            "sources": dict(self.sources),
            "rule": self.rule,
            "knots": [list(knot) for knot in self.knots],
            "resaved": self.resaved,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` wrote. Raises CalibrationInvalid."""
        try:
            if values["format"] != _FORMAT:
                raise CalibrationInvalid(f"calibration: format {values['format']!r} is not known to this version")
            return cls(
                photographs=int(values["photographs"]),
                sources={str(name): int(count) for name, count in values["sources"].items()},
                rule=str(values["rule"]),
                knots=tuple((float(score), int(count)) for score, count in values["knots"]),
                resaved=bool(values.get("resaved", False)),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CalibrationInvalid(f"calibration: cannot be read ({type(error).__name__}: {error})") from error


def default_threshold(metrics: Mapping[str, Any]) -> float:
    """The score from which images are flagged when nobody says otherwise; ``metrics`` are those of a checkpoint."""
    suggested = metrics.get("suggested_threshold", {}).get(SUGGESTED_AT)
    return FALLBACK_THRESHOLD if suggested is None else float(suggested)


def _just_above(score: float) -> float:
    """The next larger float32: verdicts are float32, so nothing lies between."""
    return float(np.nextafter(np.float32(score), np.float32(2)))
