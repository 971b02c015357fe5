"""Figures of the field's protocol. Pure numpy.

Pixel figures are per image, then averaged, on tampered images only, at a fixed 0.5 (NCL.md).
"""

import numpy as np
from numpy.typing import NDArray


def auc(scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> float:
    """Area under the ROC curve by ranks, ties counting half; NaN when a class is absent.

    ``scores`` and ``labels`` have equal shapes, any dimension.
    """
    flat, truth = scores.ravel(), labels.ravel().astype(np.bool_)
    positives, negatives = flat[truth], np.sort(flat[~truth])
    if positives.size == 0 or negatives.size == 0:
        return float("nan")
    below = np.searchsorted(negatives, positives, side="left")
    not_above = np.searchsorted(negatives, positives, side="right")
    wins = (below.sum(dtype=np.float64) + not_above.sum(dtype=np.float64)) / 2
    return float(wins / (positives.size * negatives.size))


def pixel_f1(probabilities: NDArray[np.floating], mask: NDArray[np.bool_], threshold: float = 0.5) -> float:
    """F1 of p >= ``threshold`` against the mask, both (H, W); 0 when nothing is found."""
    found = probabilities >= threshold
    hits = int(np.count_nonzero(found & mask))
    total = int(np.count_nonzero(found)) + int(np.count_nonzero(mask))
    return 2 * hits / total if total else float("nan")


def threshold_at_fpr(authentic_scores: NDArray[np.floating], fpr: float) -> float:
    """The smallest of the given scores that flags (score > it) at most ``fpr`` of the authentic images.

    Raises ValueError without authentic scores.
    """
    ordered = np.sort(authentic_scores.ravel())[::-1]
    if ordered.size == 0:
        raise ValueError("no authentic scores to choose a threshold from")
    return float(ordered[min(int(fpr * ordered.size + 1e-9), ordered.size - 1)])
