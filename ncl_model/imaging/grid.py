"""Where JPEG's 8x8 blocks begin, read from the pixels: a crop or a turn shifts them, and nothing in the file says so.

Two answers are given, the likeliest grid and the likeliest other one: a file that was cropped and saved once more
holds both. Pure numpy. [ours; the first measure is that of Fan and de Queiroz (2003) in the frequency domain, the
second the periodicity of quantised coefficients (Bianchi and Piva, 2012)]
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

#: side of a block, and number of phases along one side
BLOCK = 8
#: windows of the photograph that are looked at, evenly spread
_WINDOWS = 250
#: a coefficient this small was quantised to nothing
_NOTHING = 0.75
#: coefficients whose histograms are searched for combs, the lowest ones, and the steps that are tried
_LOWEST = 6
_STEPS = (3, 4, 5, 6, 7, 8, 10, 12)
#: a comb is read from coefficients beyond this many steps: those next to zero say nothing
_BEYOND = 0.6
#: keeps the strength finite where all phases are alike
_FLAT = 1e-3
#: fewer coefficients than this show no comb
_FEWEST = 20
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


class Phase(NamedTuple):
    """Rows and columns before the first whole block, each 0 to 7."""

    row: int
    column: int


class Grids(NamedTuple):
    """The likeliest grid of a photograph, and the likeliest other one."""

    first: Phase
    second: Phase


class MeasuredGrids(NamedTuple):
    """The grids, and how far the first stands out."""

    grids: Grids
    #: standard deviations by which empty coefficients under the first phase exceed those under the phases that share
    #: neither its row nor its column: 20 and more where a JPEG grid is, 4 at most where none is
    strength: float


#: what is said of a photograph too small to tell
UNKNOWN = Grids(Phase(0, 0), Phase(0, 0))


def find_grids(pixels: NDArray[np.uint8]) -> Grids:
    """The grids of (H, W, 3) uint8 RGB, or of (H, W) uint8 luma.

    Without any trace of JPEG the answer is arbitrary, but always the same.

    First: the phase under which most coefficients are next to nothing. Second: the phase, other than the first, whose
    low coefficients gather most at multiples of a step. Photographs of less than two blocks a side give ``UNKNOWN``.
    """
    return measure_grids(pixels).grids


def measure_grids(pixels: NDArray[np.uint8]) -> MeasuredGrids:
    """As ``find_grids``, with the strength of the first; 0 for photographs of less than two blocks a side."""
    height, width = pixels.shape[:2]
    if min(height, width) < 2 * BLOCK:
        return MeasuredGrids(UNKNOWN, 0.0)
    coefficients = _coefficients(_windows(pixels))
    empty = (np.abs(coefficients[..., 1:]) < _NOTHING).mean(axis=(0, 2))
    first = int(empty.argmax())
    combs = _combs(coefficients[..., _lowest()])
    combs[first] = -1
    second = int(combs.argmax())
    grids = Grids(Phase(*divmod(first, BLOCK)), Phase(*divmod(second, BLOCK)))
    return MeasuredGrids(grids, _strength(empty.reshape(BLOCK, BLOCK), first))


def _strength(empty: Floats, first: int) -> float:
    """``empty`` (8, 8): share of empty coefficients by phase. Phases in the first one's row or column share edges."""
    row, column = divmod(first, BLOCK)
    others = np.delete(np.delete(empty, row, axis=0), column, axis=1)
    return float((empty[row, column] - others.mean()) / (others.std() + _FLAT))


def _windows(pixels: NDArray[np.uint8]) -> Floats:
    """(N, 15, 15) luma of windows evenly spread over the photograph, their corners on multiples of 8."""
    rows, columns = (side // BLOCK - 1 for side in pixels.shape[:2])
    step = max(1.0, math.sqrt(rows * columns / _WINDOWS))
    tops = (np.arange(0, rows, step)).astype(np.intp) * BLOCK
    lefts = (np.arange(0, columns, step)).astype(np.intp) * BLOCK
    side = np.arange(2 * BLOCK - 1)
    taken = pixels[(tops[:, None] + side).ravel()][:, (lefts[:, None] + side).ravel()]
    luma = (taken.astype(np.float32) if taken.ndim == 2 else taken.astype(np.float32) @ _LUMA) - 128
    windows: Floats = (
        luma.reshape(len(tops), len(side), len(lefts), len(side)).transpose(0, 2, 1, 3).reshape(-1, *2 * side.shape)
    )
    return windows


def _coefficients(windows: Floats) -> Floats:
    """(N, 64 phases, 64) DCT coefficients of the block that begins at each phase of each window."""
    blocks = np.lib.stride_tricks.sliding_window_view(windows, (BLOCK, BLOCK), axis=(1, 2))
    flat = blocks.reshape(len(windows), BLOCK * BLOCK, BLOCK * BLOCK)
    result: Floats = flat @ _basis()
    return result


def _combs(coefficients: Floats) -> Floats:
    """(64,) how much the coefficients of a phase, (N, 64, K), gather at multiples of some step, over chance."""
    best = np.zeros(coefficients.shape[1:], np.float32)
    size = np.abs(coefficients)
    for step in _STEPS:
        counted = size > _BEYOND * step
        number = counted.sum(0)
        waves = (np.cos(coefficients * np.float32(2 * math.pi / step)) * counted).sum(0)
        # by chance the sum of n cosines has the spread sqrt(n / 2)
        best = np.maximum(best, np.where(number > _FEWEST, waves / np.sqrt(np.maximum(number, 1)), 0))
    result: Floats = best.mean(axis=1)
    return result


@cache
def _basis() -> Floats:
    """(64, 64): pixels of a block to its orthonormal DCT-II coefficients, rows of frequencies first."""
    k = np.arange(BLOCK)
    rows = np.cos((2 * k[None] + 1) * k[:, None] * math.pi / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
    rows[0] /= math.sqrt(2)
    basis: Floats = np.einsum("ux,vy->xyuv", rows, rows).reshape(BLOCK**2, BLOCK**2).astype(np.float32)
    return basis


@cache
def _lowest() -> list[int]:
    """Places of the lowest coefficients but the mean, in the order of their frequencies."""
    return sorted(range(BLOCK**2), key=lambda i: (i // BLOCK + i % BLOCK, i // BLOCK))[1 : _LOWEST + 1]
