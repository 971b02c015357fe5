"""Squares of photographs, mirrored and turned. Deterministic given the generator."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ncl_model.truth_maps import TAMPERED, Marks

Pixels = NDArray[np.uint8]

#: probability that a photograph is turned by a quarter or more
_TURNED = 0.3


def turn(pixels: Pixels, mask: Marks, rng: np.random.Generator) -> tuple[Pixels, Marks]:
    """Mirrored half of the time, sometimes turned by quarters; (H, W, 3) and (H, W)."""
    if rng.random() < 0.5:
        pixels, mask = pixels[:, ::-1], mask[:, ::-1]
    turns = int(rng.integers(4)) if rng.random() < _TURNED else 0
    return np.ascontiguousarray(np.rot90(pixels, turns)), np.ascontiguousarray(np.rot90(mask, turns))


def crop_origin(
    mask: Marks, size: int | tuple[int, int], rng: np.random.Generator, *, step: int = 1
) -> tuple[int, int]:
    """Top and left of a window around a random tampered pixel, or anywhere when nothing is tampered.

    Multiples of ``step``. The pixel lies up to a third of the window off its centre; where the photograph is smaller
    than the window, the origin is 0 and ``window_of`` pads.
    """
    sides = (size, size) if isinstance(size, int) else size
    tampered = np.flatnonzero(mask == TAMPERED)
    place = int(rng.choice(tampered)) if len(tampered) else int(rng.integers(mask.size))
    centre = divmod(place, mask.shape[1])
    origin = []
    for at, side, crop in zip(centre, mask.shape, sides, strict=True):
        wanted = at - crop // 2 + int(rng.integers(-crop // 3, crop // 3 + 1))
        origin.append(min(max(0, wanted), max(0, side - crop)) // step * step)
    return origin[0], origin[1]


def window_of(pixels: Pixels, mask: Marks, top: int, left: int, size: int | tuple[int, int]) -> tuple[Pixels, Marks]:
    """The window of both that begins there; below and right of the photograph it goes on mirrored."""
    height, width = (size, size) if isinstance(size, int) else size
    below, right = max(0, top + height - mask.shape[0]), max(0, left + width - mask.shape[1])
    if below or right:
        pixels = np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="symmetric")
        mask = np.pad(mask, ((0, below), (0, right)), mode="symmetric")
    window = np.s_[top : top + height, left : left + width]
    return np.ascontiguousarray(pixels[window]), np.ascontiguousarray(mask[window])
