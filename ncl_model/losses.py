"""The pivot-consistent loss, in float32. The contrastive loss over patches will live beside it.

Zhou et al., ICCV 2023, eq. 8. Shapes: B, 1, H, W.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ncl_model.decoder import STAGE_STRIDES, Logits

#: side in pixels of the cells that decide what contour is [ours, NCL.md]
CONTOUR_CELL = 4


def pivot_consistent_loss(logits: Logits, mask: Tensor, *, mu: float) -> Tensor:
    """L_PC = mu * mean(BCE over contour pixels) + (1 - mu) * mean(BCE over all), summed over four stages.

    ``mask`` is (B, 1, H, W) in {0, 1}. Each stage is held against the mask averaged down to its size
    [ours], and the means run over the batch, so one image with a short contour does not dominate [ours].
    A batch without contour gives the plain BCE. Returns a scalar, float32, >= 0.
    """
    mask = mask.float()
    losses = [_stage_loss(logit.float(), mask, s, mu) for logit, s in zip(logits, STAGE_STRIDES, strict=True)]
    return torch.stack(losses).sum()


def contour(mask: Tensor, stride: int) -> Tensor:
    """(B, 1, H/stride, W/stride) float 0 or 1: cells holding both tampered and authentic pixels.

    Cells are ``CONTOUR_CELL`` pixels wide, or one logit wide where logits are coarser.
    """
    cell = max(CONTOUR_CELL, stride)
    average = F.avg_pool2d(mask, cell)
    mixed = ((average > 0) & (average < 1)).float()
    return F.interpolate(mixed, scale_factor=cell // stride, mode="nearest") if cell > stride else mixed


def _stage_loss(logits: Tensor, mask: Tensor, stride: int, mu: float) -> Tensor:
    truth = F.avg_pool2d(mask, stride) if stride > 1 else mask
    losses = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    edge = contour(mask, stride)
    count = edge.sum()
    if count == 0:
        return losses.mean()
    return mu * (losses * edge).sum() / count + (1 - mu) * losses.mean()
