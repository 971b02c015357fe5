"""JPEG's grid found as slowly and as plainly as it is defined: loops over windows, phases and coefficients."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Phase = tuple[int, int]

#: the definition's constants, written down once more: a change of the code is to be noticed
WINDOWS, NOTHING, STEPS, BEYOND, FEWEST = 250, 0.75, (3, 4, 5, 6, 7, 8, 10, 12), 0.6, 20
#: (rows, columns) of the six lowest frequencies but the mean, as they are ordered
LOWEST = [(0, 1), (1, 0), (0, 2), (1, 1), (2, 0), (0, 3)]


def corners(side: int, other: int) -> list[int]:
    """Where windows begin along a side of ``side`` pixels, when the other has ``other``."""
    here, there = side // 8 - 1, other // 8 - 1
    step, at, found = max(1.0, math.sqrt(here * there / WINDOWS)), 0, []
    while at * step < here:
        found.append(int(at * step) * 8)
        at += 1
    return found


@cache
def wave(u: int, v: int) -> NDArray[np.float64]:
    """The pattern of an 8x8 block whose coefficient (u, v) alone is 1."""
    scale = (math.sqrt(1 / 8) if u == 0 else 0.5) * (math.sqrt(1 / 8) if v == 0 else 0.5)
    rows = [math.cos((2 * x + 1) * u * math.pi / 16) for x in range(8)]
    columns = [math.cos((2 * y + 1) * v * math.pi / 16) for y in range(8)]
    return np.array([[scale * row * column for column in columns] for row in rows])


def dct(block: NDArray[np.float64]) -> NDArray[np.float64]:
    """The orthonormal two-dimensional DCT-II of an 8x8 block, from its formula."""
    return np.array([[(wave(u, v) * block).sum() for v in range(8)] for u in range(8)])


def blocks(pixels: Pixels, phase: Phase) -> list[NDArray[np.float64]]:
    """Coefficients of the block at this phase of every window."""
    luma = 0.299 * pixels[..., 0].astype(float) + 0.587 * pixels[..., 1] + 0.114 * pixels[..., 2] - 128
    height, width = luma.shape
    places = [(top + phase[0], left + phase[1]) for top in corners(height, width) for left in corners(width, height)]
    return [dct(luma[top : top + 8, left : left + 8]) for top, left in places]


def empty_share(coefficients: list[NDArray[np.float64]]) -> float:
    """Share of the coefficients but the mean that are next to nothing."""
    small = [abs(value) < NOTHING for block in coefficients for value in block.ravel()[1:]]
    return sum(small) / len(small)


def comb_strength(coefficients: list[NDArray[np.float64]]) -> float:
    """How much the lowest coefficients gather at multiples of a step, mean of the best step of each."""
    best = []
    for row, column in LOWEST:
        found = [0.0]
        for step in STEPS:
            waves = [
                math.cos(2 * math.pi * block[row, column] / step)
                for block in coefficients
                if abs(block[row, column]) > BEYOND * step
            ]
            if len(waves) > FEWEST:
                found.append(sum(waves) / math.sqrt(len(waves)))
        best.append(max(found))
    return sum(best) / len(best)


def find_grids(pixels: Pixels) -> tuple[Phase, Phase]:
    """The phase with most empty coefficients, and the other one with the strongest comb."""
    phases = [(row, column) for row in range(8) for column in range(8)]
    found = {phase: blocks(pixels, phase) for phase in phases}
    first = max(phases, key=lambda phase: empty_share(found[phase]))
    return first, max((p for p in phases if p != first), key=lambda phase: comb_strength(found[phase]))
