"""Filling a region so that what was there is gone: by cloning from beside it, or by smooth continuation.

Deterministic: everything random comes from the generator that is passed in. Pure numpy and Pillow [ours].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]

#: places tried as the source of a clone; the one that fits the surroundings best is taken
_TRIES = 12


def remove(pixels: Pixels, mask: Mask, rng: np.random.Generator) -> Pixels:
    """``pixels`` (H, W, 3) with the region ``mask`` (H, W) filled from its surroundings.

    Three times out of four a clone of a place nearby, its brightness bent to fit the edge as healing brushes
    do; otherwise, or where no place fits, a smooth continuation with a little grain. A mask that is empty or
    covers everything leaves the photograph as it is.
    """
    if not mask.any() or mask.all():
        return pixels
    offset = _best_offset(pixels, mask, rng) if rng.random() < 0.75 else None
    values = pixels.astype(np.float32)
    if offset is None:
        filled = continued(values, ~mask)
        filled += rng.normal(0.0, rng.uniform(0.0, 3.0), (*mask.shape, 1)).astype(np.float32)
    else:
        source: Floats = np.roll(values, offset, axis=(0, 1))
        # bent by the differences along the edge, so that it meets what is around it
        filled = source + continued((values - source).astype(np.float32), _ring(mask))
    result = np.where(mask[..., None], filled, values)
    return np.clip(np.rint(result), 0, 255).astype(np.uint8)


def continued(values: Floats, known: Mask) -> Floats:
    """``values`` (H, W, C) where ``known`` (H, W), elsewhere a smooth continuation of them (push-pull).

    Gortler et al., The Lumigraph, SIGGRAPH 1996, section 3.4: averages of known pixels at half the size, again
    and again, then back up. At least one pixel must be known.
    """
    if known.all() or min(known.shape) < 2:
        mean: Floats = values[known].mean(axis=0) if known.any() else values.mean(axis=(0, 1))
        return np.where(known[..., None], values, mean.astype(np.float32))
    height, width = known.shape
    even = ((0, height % 2), (0, width % 2))
    weights = np.pad(known.astype(np.float32), even)
    sums = _halved(np.pad(values * known[..., None], (*even, (0, 0))))
    counts = _halved(weights[..., None])
    coarse = continued((sums / np.maximum(counts, 1)).astype(np.float32), counts[..., 0] > 0)
    return np.where(known[..., None], values, _resized(coarse, width, height))


def _halved(values: Floats) -> Floats:
    """Sums of two by two cells; both sides are even."""
    height, width, channels = values.shape
    result: Floats = values.reshape(height // 2, 2, width // 2, 2, channels).sum(axis=(1, 3))
    return result


def _resized(values: Floats, width: int, height: int) -> Floats:
    planes = [
        np.asarray(Image.fromarray(values[..., c]).resize((width, height), Image.Resampling.BILINEAR))
        for c in range(values.shape[2])
    ]
    return np.stack(planes, axis=-1)


def _best_offset(pixels: Pixels, mask: Mask, rng: np.random.Generator) -> tuple[int, int] | None:
    """(down, right) by which to move the photograph so that authentic pixels cover the region.

    Of a few random ones the one that differs least along the region's edge; None when none covers it.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    size = np.array([rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1])
    ring = _ring(mask)
    best, least = None, np.inf
    for _ in range(_TRIES):
        angle = rng.uniform(0, 2 * np.pi)
        direction = np.array([np.sin(angle), np.cos(angle)])
        # at least one side of the region's box away, so that the region seldom covers itself
        reach = rng.uniform(0.8, 1.6) * size * direction / np.abs(direction).max()
        down, right = (int(v) for v in np.rint(reach))
        if not _covers(mask, (rows, columns), down, right):
            continue
        moved = np.roll(pixels, (down, right), axis=(0, 1))
        difference = float(np.abs(pixels[ring].astype(np.int16) - moved[ring]).mean()) if ring.any() else 0.0
        if difference < least:
            best, least = (down, right), difference
    return best


def _covers(mask: Mask, spans: tuple[NDArray[np.intp], NDArray[np.intp]], down: int, right: int) -> bool:
    """Whether what would land on the region lies inside the photograph and is authentic itself."""
    (rows, columns), (height, width) = spans, mask.shape
    inside = rows[0] >= down and rows[-1] < height + down and columns[0] >= right and columns[-1] < width + right
    return bool(inside and not (np.roll(mask, (down, right), axis=(0, 1)) & mask).any())


def _ring(mask: Mask) -> Mask:
    """Authentic pixels that touch the region from above, below, left or right."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown & ~mask
