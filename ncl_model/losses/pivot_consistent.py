"""The pivot-consistent loss L_PC, in float32; the contrastive loss is in ``contrast``.

Zhou et al., ICCV 2023, eq. 8. Shapes: B, 1, H, W.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ncl_model.losses.patches import at_least_float32

#: side in pixels of the cells that decide what contour is [ours, NCL.md]
CONTOUR_CELL = 4


def _alone(count: Tensor) -> Tensor:
    return count


def pivot_consistent_loss(
    logits: Sequence[Tensor],
    mask: Tensor,
    *,
    mu: float,
    known: Tensor | None = None,
    last_only: bool = False,
    average: Callable[[Tensor], Tensor] = _alone,
) -> Tensor:
    """L_PC = mu * mean(BCE over contour pixels) + (1 - mu) * mean(BCE over all), summed over the stages.

    ``logits`` are (B, 1, H/s, W/s), coarse to fine; ``mask`` is (B, 1, H, W) in {0, 1}. Each stage is held against the
    mask averaged down to its size
    [ours], and the means run over the batch, so one image with a short contour does not dominate [ours].
    A batch without contour gives the plain BCE. ``last_only`` supervises the last stage alone; ``average``
    turns counts into their means over the workers of a distributed run. Returns a scalar, float32, >= 0.

    ``known`` (B, 1, H, W) in {0, 1}: pixels of which the mask says something, for scribbles [ours]. A cell counts by
    the share of it that is known, and is contour only when all of it is. Nothing known gives 0; None: all of them.
    """
    mask = at_least_float32(mask)
    known = torch.ones_like(mask) if known is None else at_least_float32(known)
    stages = [(logit, mask.shape[2] // logit.shape[2]) for logit in logits][-1 if last_only else 0 :]
    losses = [_stage_loss(at_least_float32(logit), mask, known, stride, mu, average) for logit, stride in stages]
    return torch.stack(losses).sum()


def contour(mask: Tensor, stride: int, known: Tensor | None = None) -> Tensor:
    """(B, 1, H/stride, W/stride) float 0 or 1: known cells holding both tampered and authentic pixels.

    Cells are ``CONTOUR_CELL`` pixels wide, or one logit wide where logits are coarser.
    """
    cell = max(CONTOUR_CELL, stride)
    average = F.avg_pool2d(mask, cell)
    mixed = ((average > 0) & (average < 1)).to(mask.dtype)
    if known is not None:
        mixed = mixed * (F.avg_pool2d(known, cell) == 1)
    return F.interpolate(mixed, scale_factor=cell // stride, mode="nearest") if cell > stride else mixed


def _stage_loss(
    logits: Tensor, mask: Tensor, known: Tensor, stride: int, mu: float, average: Callable[[Tensor], Tensor]
) -> Tensor:
    weight = F.avg_pool2d(known, stride) if stride > 1 else known
    tampered = F.avg_pool2d(mask * known, stride) if stride > 1 else mask * known
    truth = tampered / weight.clamp_min(1e-6)
    losses = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    edge = contour(mask, stride, known)
    edges, cells = average(torch.stack([edge.sum(), weight.sum()]))
    share = mu * (edges > 0).to(edges.dtype)  # no branch on the count: on a GPU that would wait for it at every step
    on_edge, everywhere = (losses * edge).sum() / edges.clamp_min(1e-6), (losses * weight).sum() / cells.clamp_min(1e-6)
    total: Tensor = share * on_edge + (1 - share) * everywhere
    return total
