"""8x8 blocks of photographs that are larger than their canvas, read before the resize that wipes their traces out.

A cell of the traces is 8x8 pixels of the canvas; at native size it covers several of JPEG's blocks. A few of them,
evenly spread over the cell and lying on the photograph's own grid, stand for it: features of blocks are averaged over
a region anyway, and so a photograph of any size costs the same. Pure numpy [ours].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncl_model.imaging.grid import BLOCK, Phase, measure_grids


@dataclass(frozen=True, kw_only=True, eq=False)
class NativeBlocks:
    """Blocks of one photograph, on its two likeliest grids."""

    #: (2, h, w) uint8 luma: block beside block, ``per_cell`` of them a side for each cell of 8 canvas pixels that holds
    #: photograph; the first on the likeliest grid, the second on the likeliest other one
    luma: NDArray[np.uint8]
    #: how far the first grid stands out; see ``imaging.grid.MeasuredGrids``
    strength: float


def gather_blocks(luma: NDArray[np.uint8], valid_size: tuple[int, int], per_cell: int) -> NativeBlocks:
    """(H, W) uint8 luma at native size to the blocks of each cell.

    ``valid_size``: (height, width) of the photograph on its canvas, not larger than ``luma``. Raises ValueError for
    photographs of less than two blocks a side, and where the canvas is larger.
    """
    height, width = luma.shape
    if min(height, width) < 2 * BLOCK:
        raise ValueError(f"{height}x{width} pixels are less than two blocks a side")
    if valid_size[0] > height or valid_size[1] > width:
        raise ValueError(f"the canvas {valid_size} is larger than the photograph {height}x{width}")
    measured = measure_grids(luma)
    layers = [_gathered(luma, valid_size, phase, per_cell) for phase in measured.grids]
    return NativeBlocks(luma=np.stack(layers), strength=measured.strength)


def _gathered(luma: NDArray[np.uint8], valid_size: tuple[int, int], phase: Phase, per_cell: int) -> NDArray[np.uint8]:
    rows, columns = (
        _lines(side, valid, first, per_cell) for side, valid, first in zip(luma.shape, valid_size, phase, strict=True)
    )
    return luma[rows][:, columns]


def _lines(size: int, valid: int, first: int, per_cell: int) -> NDArray[np.intp]:
    """The rows (or columns) of the blocks taken: those whose middles lie nearest to evenly spread places.

    ``first``: where the grid begins. A block at the edge that is not whole is never taken.
    """
    places = (np.arange(-(-valid // BLOCK) * per_cell) + 0.5) / per_cell * BLOCK * (size / valid)
    last = (size - first) // BLOCK - 1
    blocks = np.clip(np.rint((places - first - BLOCK / 2) / BLOCK), 0, last).astype(np.intp)
    lines: NDArray[np.intp] = (first + blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel()
    return lines
