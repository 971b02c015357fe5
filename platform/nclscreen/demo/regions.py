"""Shapes of tampered regions: what a person would cut out with a lasso, an ellipse tool or a magic wand."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Mask = NDArray[np.bool_]
#: share of the image a region covers
MIN_AREA, MAX_AREA = 0.02, 0.25
#: what is aimed at, so that turning and shifting stay within the bounds
_AIM = (0.04, 0.18)
#: pixels of the longest side of the picture that superpixels are found on
_SUPERPIXEL_SIDE = 256


def random_region(photo: Image.Image, rng: random.Random) -> Mask:
    """(H, W) bool: one region of the photograph, about 4-18 % of it."""
    shape: Callable[[Image.Image, float, random.Random], Mask] = rng.choice((_lasso, _ellipses, _superpixels))
    return shape(photo, rng.uniform(*_AIM), rng)


def _lasso(photo: Image.Image, area: float, rng: random.Random) -> Mask:
    """A wobbly outline around a point, as drawn by hand."""
    width, height = photo.size
    radius = math.sqrt(area * width * height / math.pi)
    x, y = _middle(width, rng), _middle(height, rng)
    steps = 40
    waves = [(turns, rng.uniform(-0.22, 0.22) / turns, rng.uniform(0, 2 * math.pi)) for turns in (1, 2, 3, 5)]
    outline = []
    for step in range(steps):
        angle = 2 * math.pi * step / steps
        reach = radius * (1 + sum(depth * math.sin(turns * angle + phase) for turns, depth, phase in waves))
        outline.append((x + reach * math.cos(angle), y + reach * math.sin(angle)))
    drawing = Image.new("1", (width, height))
    ImageDraw.Draw(drawing).polygon(outline, fill=1)
    return np.asarray(drawing)


def _ellipses(photo: Image.Image, area: float, rng: random.Random) -> Mask:
    """Two or three overlapping ellipses."""
    width, height = photo.size
    x, y = _middle(width, rng), _middle(height, rng)
    radius = math.sqrt(area * width * height / math.pi) * 0.8
    drawing = Image.new("1", (width, height))
    for _ in range(rng.choice((2, 3))):
        stretch = rng.uniform(0.65, 1.5)
        a, b = radius * stretch, radius / stretch
        left, top = x + rng.uniform(-0.6, 0.6) * radius, y + rng.uniform(-0.6, 0.6) * radius
        ImageDraw.Draw(drawing).ellipse((left - a, top - b, left + a, top + b), fill=1)
    return np.asarray(drawing)


def _superpixels(photo: Image.Image, area: float, rng: random.Random) -> Mask:
    """Neighbouring pieces of like colour, so that the outline follows things in the picture."""
    labels = _labels(photo)
    height, width = labels.shape
    row, column = int(_middle(height, rng)), int(_middle(width, rng))
    mask: Mask = labels == labels[row, column]
    while mask.mean() < area:
        around = sorted(set(np.unique(labels[_grown(mask) & ~mask]).tolist()))
        if not around:
            break
        # the nearest piece next: what people cut out hangs together
        mask = mask | (labels == min(around, key=lambda label: _distance(labels == label, row, column)))
    return mask


def _labels(photo: Image.Image) -> NDArray[np.int64]:
    """(H, W): the superpixel of each pixel, found on a smaller picture and enlarged."""
    from skimage.segmentation import slic

    small = photo.copy()
    small.thumbnail((_SUPERPIXEL_SIDE, _SUPERPIXEL_SIDE))
    labels = slic(np.asarray(small), n_segments=70, compactness=14.0, start_label=0).astype(np.uint8)
    grown = Image.fromarray(labels).resize(photo.size, Image.Resampling.NEAREST)
    return np.asarray(grown, dtype=np.int64)


def _distance(piece: Mask, row: int, column: int) -> float:
    rows, columns = np.nonzero(piece)
    return math.hypot(float(rows.mean()) - row, float(columns.mean()) - column)


def _grown(mask: Mask) -> Mask:
    """The mask and the pixels next to it."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown


def _middle(side: int, rng: random.Random) -> float:
    """Somewhere not too close to the edges."""
    return side * rng.uniform(0.28, 0.72)
