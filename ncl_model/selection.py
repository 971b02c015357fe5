"""Choices made on validation images: the score rule, the logit shift, the thresholds. Pure numpy.

None of them may ever see a test set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncl_model.metrics import auc, pixel_f1, threshold_at_fpr
from ncl_model.scoring import image_score

#: candidates for ``NclConfig.score_top_fraction``
FRACTIONS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
#: candidates for what is added to the last logit
SHIFTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
#: a shift is only worth its false alarms if F1 gains at least this much over a smaller one
_WORTH = 0.005


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """A validation image, its map and its truth."""

    #: (H, W) float32
    probabilities: NDArray[np.float32]
    #: (H, W) bool; None = authentic
    mask: NDArray[np.bool_] | None


def shifted(probabilities: NDArray[np.float32], shift: float) -> NDArray[np.float32]:
    """The probabilities after adding ``shift`` to their logits: odds times exp(shift)."""
    odds = np.exp(shift)
    result: NDArray[np.float32] = (probabilities * odds / (1 - probabilities + probabilities * odds)).astype(np.float32)
    return result


def choose_shift(judged: Sequence[Judged]) -> tuple[float, dict[float, float]]:
    """The shift that makes 0.5 the threshold to use, and the mean pixel F1 at 0.5 of every candidate.

    Training weighs pixels, F1 weighs images, so a network that minimises the one is too timid for the other.
    """
    tampered = [(j.probabilities, j.mask) for j in judged if j.mask is not None]
    figures = {s: float(np.mean([pixel_f1(shifted(p, s), m) for p, m in tampered])) for s in SHIFTS}
    best = max(figures.values())
    return next(s for s in SHIFTS if figures[s] >= best - _WORTH), figures


def choose_fraction(judged: Sequence[Judged]) -> tuple[float, dict[float, float]]:
    """The top fraction whose scores rank tampered above authentic best, and every candidate's image AUC."""
    labels = np.array([j.mask is not None for j in judged])
    figures = {f: auc(scores_of(judged, f), labels) for f in FRACTIONS}
    return max(FRACTIONS, key=figures.__getitem__), figures


def scores_of(judged: Sequence[Judged], fraction: float) -> NDArray[np.float64]:
    """(N,) image scores."""
    return np.array([image_score(j.probabilities, top_fraction=fraction) for j in judged])


def suggest_thresholds(authentic_scores: NDArray[np.floating]) -> dict[str, float]:
    """Scores above which about 5 % and 20 % of the given authentic images would be flagged."""
    return {f"fpr_{share:.2f}": threshold_at_fpr(authentic_scores, share) for share in (0.05, 0.20)}
