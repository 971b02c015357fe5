"""What the networks of pixels are given: normalised colours and high-pass maps. Shapes: B, C, H, W."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ncl_model.architecture.backbone import FILTER_REACH, ResidualFilters

#: rows made at once on a CPU: few enough for its caches, and a multiple of the cells energies are measured in
_ROWS = 32


def prepared(
    pixels: Tensor, mean: Tensor, std: Tensor, filters: ResidualFilters | None, cell: int | None = None
) -> tuple[Tensor, Tensor | None]:
    """(B, 3, H, W) in 0-255 to (B, 3 or 12, H, W) float32, channels last, and what the high-pass maps hold.

    Kept in float32 under autocast: residuals of a few grey levels vanish in bfloat16's eight bits. ``mean`` and ``std``
    in 0-255. ``cell``: the maps' energy by cells of so many pixels a side, a divisor of 32, is the second answer,
    (B, 9, H / cell, W / cell); else it is None, as without ``filters``.
    """
    with torch.autocast(device_type=pixels.device.type, enabled=False):
        if filters is None:
            return (pixels.float() - mean) / std, None
        count, _, height, width = pixels.shape
        inputs = torch.empty(
            (count, 12, height, width), device=pixels.device, memory_format=torch.channels_last, dtype=torch.float32
        )
        step = _ROWS if pixels.device.type == "cpu" else height
        energies = []
        for top in range(0, height, step):
            rows = slice(top, min(height, top + step))
            around = _with_neighbours(pixels, rows)
            inner = around[:, :, FILTER_REACH:-FILTER_REACH, FILTER_REACH:-FILTER_REACH]
            inputs[:, :3, rows] = (inner - mean) / std
            maps = filters.inside(around)
            inputs[:, 3:, rows] = maps
            if cell is not None:
                energies.append(F.avg_pool2d(maps * maps, cell))
        return inputs, torch.cat(energies, dim=2) if energies else None


def _with_neighbours(pixels: Tensor, rows: slice) -> Tensor:
    """Some rows as float32, with what the filters look at around them; at the image's edges, the edge again."""
    above, below = rows.start - FILTER_REACH, rows.stop + FILTER_REACH
    height = pixels.shape[2]
    part = pixels[:, :, max(0, above) : min(height, below)].float()
    missing = (max(0, -above), max(0, below - height))
    return F.pad(part, (FILTER_REACH, FILTER_REACH, *missing), mode="replicate")
