"""The three kinds of patches, and an even choice among them. Shapes: B images, C channels, h x w cells.

Zhou et al., ICCV 2023, section 3.2: a patch is a cell of the first residual stage.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


def at_least_float32(values: Tensor) -> Tensor:
    """Losses are summed in float32 whatever the network ran in; float64 stays, for checks of gradients."""
    return values if values.dtype == torch.float64 else values.float()


class Kind(IntEnum):
    """What a patch holds, by the share of its pixels that are tampered."""

    AUTHENTIC = 0  #: none of them
    TAMPERED = 1  #: all of them
    CONTOUR = 2  #: some of them
    UNKNOWN = 3  #: nobody knows of all of them


class Chosen(NamedTuple):
    """Up to ``limit`` patches of one kind per image; rows beyond an image's own count are not valid."""

    features: Tensor  #: (B, limit, C)
    valid: Tensor  #: (B, limit) bool


def label_patches(mask: Tensor, size: int, known: Tensor | None = None) -> Tensor:
    """(B, 1, H, W) in {0, 1} to (B, H/size, W/size) int64 of ``Kind``; ``size`` in pixels divides H and W.

    ``known`` (B, 1, H, W) in {0, 1}; None: everywhere.
    """
    share = F.avg_pool2d(at_least_float32(mask), size).squeeze(1)
    kinds = torch.full_like(share, int(Kind.CONTOUR), dtype=torch.int64)
    kinds[share == 0] = int(Kind.AUTHENTIC)
    kinds[share == 1] = int(Kind.TAMPERED)
    if known is not None:
        kinds[F.avg_pool2d(at_least_float32(known), size).squeeze(1) < 1] = int(Kind.UNKNOWN)
    return kinds


def choose(features: Tensor, members: Tensor, limit: int) -> Chosen:
    """Patches of one kind, evenly spread in raster order when there are more than ``limit`` [ours].

    ``features`` is (B, C, h, w), ``members`` (B, h, w) bool. Drawing no random numbers makes the choice the
    same however a batch is divided among workers; crops are random already.
    """
    flat = members.flatten(1)
    ranks = flat.cumsum(1)  # 1-based rank of every member in its image
    count = ranks[:, -1:]
    slots = torch.arange(limit, device=flat.device).unsqueeze(0)
    wanted = torch.where(count > limit, slots * count // limit, slots)
    cells = torch.searchsorted(ranks, wanted + 1).clamp_max(flat.shape[1] - 1)
    rows = features.flatten(2).transpose(1, 2)
    picked = rows.gather(1, cells.unsqueeze(-1).expand(-1, -1, rows.shape[2]))
    return Chosen(picked, slots < count)
