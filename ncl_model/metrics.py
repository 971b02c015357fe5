"""Figures of the field's protocol. Pure numpy, exact, ties counted as ties.

Pixel figures are per image, then averaged, on tampered images only, at a fixed 0.5 (NCL.md). A figure that has no
meaning for its input is NaN, never a flattering 0 or 1; each function says when. NaN scores raise ValueError.
"""

import math

import numpy as np
from numpy.typing import NDArray

#: the field's pixel threshold: p >= 0.5 is "tampered"
PIXEL_THRESHOLD = 0.5

FloatArray = NDArray[np.floating]
BoolArray = NDArray[np.bool_]


def auc(scores: FloatArray, labels: BoolArray) -> float:
    """Area under the ROC curve: the chance that a positive outranks a negative, ties counting half.

    ``scores`` and ``labels`` have equal shapes, any dimension; for pixels (H, W) probabilities and mask. By ranks,
    so exact for any values. NaN when there are no positives or no negatives. Raises ValueError for NaN scores.
    """
    flat, truth = _pair(scores, labels)
    positives, negatives = np.sort(flat[truth]), np.sort(flat[~truth])
    if positives.size == 0 or negatives.size == 0:
        return math.nan
    below = np.searchsorted(negatives, positives, side="left")
    not_above = np.searchsorted(negatives, positives, side="right")
    wins = (int(below.sum(dtype=np.int64)) + int(not_above.sum(dtype=np.int64))) / 2
    return wins / (positives.size * negatives.size)


def pixel_f1(probabilities: FloatArray, mask: BoolArray, threshold: float = PIXEL_THRESHOLD) -> float:
    """F1 of p >= ``threshold`` against the mask, both (H, W): 2 TP / (found + tampered).

    0 when nothing found is right, or nothing is found in a mask that has something. NaN when there is nothing to
    find and nothing was found.
    """
    hits, found, wanted = _counts(probabilities, mask, threshold)
    return 2 * hits / (found + wanted) if found + wanted else math.nan


def pixel_iou(probabilities: FloatArray, mask: BoolArray, threshold: float = PIXEL_THRESHOLD) -> float:
    """Intersection over union of p >= ``threshold`` and the mask, both (H, W); degenerate cases as ``pixel_f1``."""
    hits, found, wanted = _counts(probabilities, mask, threshold)
    return hits / (found + wanted - hits) if found + wanted else math.nan


def recall_at_fpr(scores: FloatArray, labels: BoolArray, fpr: float) -> float:
    """Largest share of positives any threshold flags while at most the share ``fpr`` of the negatives is flagged.

    ``scores`` and ``labels`` (N,). The point of the ROC curve with the highest recall at a false-positive rate of
    at most ``fpr``: nothing is interpolated, so with few negatives the rate really used is smaller than asked
    (with fewer than 1 / ``fpr``, zero). NaN when there are no positives or no negatives.
    """
    flat, truth = _pair(scores, labels)
    positives, negatives = flat[truth], flat[~truth]
    if positives.size == 0 or negatives.size == 0:
        return math.nan
    allowed = _allowed(negatives.size, fpr)
    if allowed >= negatives.size:
        return 1.0
    return float(np.count_nonzero(positives > _nth_largest(negatives, allowed)) / positives.size)


def threshold_at_fpr(authentic_scores: FloatArray, fpr: float) -> float:
    """The smallest of the given scores that flags (score > it) at most ``fpr`` of the authentic images.

    Raises ValueError without authentic scores, or for NaN among them.
    """
    flat = _finite(authentic_scores)
    if flat.size == 0:
        raise ValueError("no authentic scores to choose a threshold from")
    return float(_nth_largest(flat, min(_allowed(flat.size, fpr), flat.size - 1)))


def _pair(scores: FloatArray, labels: BoolArray) -> tuple[FloatArray, BoolArray]:
    if scores.shape != labels.shape:
        raise ValueError(f"scores {scores.shape} and labels {labels.shape} differ in shape")
    return _finite(scores), labels.ravel().astype(np.bool_, copy=False)


def _finite(scores: FloatArray) -> FloatArray:
    flat = scores.ravel()
    # float16 sorts slowly; float32 holds each of its values exactly
    flat = flat.astype(np.float32) if flat.dtype == np.float16 else flat
    if np.isnan(flat).any():
        raise ValueError("NaN among the scores: they have no rank")
    return flat


def _allowed(count: int, fpr: float) -> int:
    """How many of ``count`` a rate lets through; 0.05 * 60 must not become 2 for a rounding error."""
    return int(fpr * count + 1e-9)


def _nth_largest(values: FloatArray, n: int) -> np.floating:
    place = values.size - 1 - n
    value: np.floating = np.partition(values, place)[place]
    return value


def _counts(probabilities: FloatArray, mask: BoolArray, threshold: float) -> tuple[int, int, int]:
    """(found and tampered, found, tampered) pixels."""
    if probabilities.shape != mask.shape:
        raise ValueError(f"probabilities {probabilities.shape} and mask {mask.shape} differ in shape")
    found = probabilities >= threshold
    return int(np.count_nonzero(found & mask)), int(np.count_nonzero(found)), int(np.count_nonzero(mask))
