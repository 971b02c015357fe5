"""Regions to tamper with: objects that people outlined, and shapes nobody drew. Deterministic given the generator."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

#: a region of a map is taken when it covers this share of its photograph
_SENSIBLE = (0.01, 0.4)
#: of maps of one thing's parts, how often the whole thing is taken
_WHOLE = 0.4
#: a smaller one is joined with another
_SMALL = 0.03


def pick_region(regions: Pixels, rng: np.random.Generator) -> Mask:
    """(H, W) bool: a region of a sensible size from a map with one number per region; two joined if it is small.

    A map with a background and one thing on it gives the thing.
    """
    if rng.random() < _WHOLE and _SENSIBLE[0] < float((regions > 0).mean()) < _SENSIBLE[1]:
        return np.asarray(regions > 0)  # number 0 is a background, and the parts on it are one thing
    numbers, counts = np.unique(regions, return_counts=True)
    fits = numbers[(counts > _SENSIBLE[0] * regions.size) & (counts < _SENSIBLE[1] * regions.size)]
    chosen = rng.choice(fits if len(fits) else numbers[counts.argsort()[: max(1, len(numbers) - 1)]])
    mask: Mask = regions == chosen
    if mask.mean() < _SMALL and len(fits) > 1:
        mask |= regions == rng.choice(fits)
    return mask


def random_shape(rng: np.random.Generator, side: int = 160) -> Mask:
    """(side, side) bool: an ellipse, a polygon or a blob, roughly filling the square; never empty."""
    kind = rng.random()
    if kind < 0.4:
        return _blob(rng, side)
    canvas = Image.new("1", (side, side))
    draw = ImageDraw.Draw(canvas)
    if kind < 0.6:
        width, height = (int(v) for v in rng.integers(side // 3, side, 2))
        left, top = (side - width) // 2, (side - height) // 2
        draw.ellipse((left, top, left + width, top + height), fill=1)
        canvas = canvas.rotate(float(rng.uniform(0, 180)))
    else:
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 10))))
        radii = rng.uniform(0.25, 0.5, len(angles)) * side
        draw.polygon([(side / 2 + r * np.cos(a), side / 2 + r * np.sin(a)) for a, r in zip(angles, radii, strict=True)],
                     fill=1)  # fmt: skip
    mask = np.array(canvas)
    return mask if mask.any() else _blob(rng, side)


def bounding_box(mask: Mask) -> tuple[slice, slice]:
    """Rows and columns that hold the mask, which is not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _blob(rng: np.random.Generator, side: int) -> Mask:
    """Smooth noise above its middle, fading to the edges."""
    coarse = rng.random((6, 6), np.float32)
    smooth = np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))
    across = np.linspace(-1, 1, side, dtype=np.float32)
    field = smooth - 0.6 * (across[:, None] ** 2 + across[None, :] ** 2)
    return np.asarray(field > np.quantile(field, 0.55))
