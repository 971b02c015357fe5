"""From a probability map to the few numbers a verdict keeps. Pure numpy."""

import numpy as np
from numpy.typing import NDArray

#: probability cut-offs of the sixteen areas every verdict carries: 0.20, 0.25, ... 0.95
AREA_CUTOFFS: tuple[float, ...] = tuple(round(0.20 + 0.05 * step, 2) for step in range(16))

FloatMap = NDArray[np.float32]


def image_score(probabilities: FloatMap, *, top_fraction: float) -> float:
    """One number for "was this image tampered with?": the mean of its most suspect pixels.

    ``probabilities`` is (H, W) in [0, 1]; at least one pixel is used, whatever the fraction.
    A plain maximum would hang on one noisy pixel and a plain mean would miss small forgeries.
    Returns a value in [0, 1]. Raises ValueError for an empty map. The rule is ours.
    """
    flat = _flat(probabilities)
    count = max(1, round(flat.size * top_fraction))
    top = flat if count == flat.size else np.partition(flat, flat.size - count)[-count:]
    return float(np.clip(top.mean(dtype=np.float64), 0.0, 1.0))


def tampered_areas(probabilities: FloatMap) -> tuple[float, ...]:
    """Fraction of pixels with p >= each of ``AREA_CUTOFFS``: sixteen values, never increasing.

    ``probabilities`` is (H, W) in [0, 1]. Raises ValueError for an empty map.
    """
    flat = np.sort(_flat(probabilities))
    # the cut-offs in the map's own precision: a float32 0.35 has to count as reaching 0.35
    below = np.searchsorted(flat, np.asarray(AREA_CUTOFFS, dtype=np.float32), side="left")
    return tuple(float(flat.size - int(count)) / flat.size for count in below)


def _flat(probabilities: FloatMap) -> FloatMap:
    if probabilities.ndim != 2 or probabilities.size == 0:
        raise ValueError(f"a probability map is (H, W) and not empty, got shape {probabilities.shape}")
    return np.ascontiguousarray(probabilities, dtype=np.float32).ravel()


def to_heatmap(probabilities: FloatMap) -> NDArray[np.uint8]:
    """(H, W) in [0, 1] to uint8 on the fixed scale 255 = probability 1; never stretched to its own maximum."""
    heatmap: NDArray[np.uint8] = np.rint(np.clip(probabilities, 0.0, 1.0) * 255.0).astype(np.uint8)
    return heatmap
