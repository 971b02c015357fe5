"""What is learnt from photographs that people call tampered without saying where, in float32.

The label holds for the pooled map, as in learning from many instances, and two views of the whole photograph are to
agree, the more the longer the run goes on (Zhai et al., ICCV 2023; the ramp is Laine and Aila's, ICLR 2017). Never a
crop: it may miss the edit. Shapes: B images, V second views.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ncl_model.losses.patches import at_least_float32
from ncl_model.losses.truth import Truth

#: the share of a map's cells that answers for the whole [ours: as scores are pooled, see docs/model.md]
POOLED_SHARE = 0.01
#: how steep the ramp is: exp(-5) at its beginning
_STEEPNESS = 5.0


def pooled_label_loss(logits: Tensor, truth: Truth, average: Callable[[Tensor], Tensor]) -> Tensor:
    """Binary cross-entropy of "tampered" on the mean of each map's highest cells, over the images labelled alone.

    ``logits`` (B, 1, h, w); ``average`` turns a count into its mean over the workers. A scalar >= 0; 0 without such
    images.
    """
    rows = at_least_float32(logits).flatten(1)
    highest = rows.topk(max(1, round(POOLED_SHARE * rows.shape[1])), dim=1).values.mean(1)
    return _mean(F.softplus(-highest), truth.labelled_alone, average)


def view_consistency(logits: Tensor, truth: Truth, average: Callable[[Tensor], Tensor]) -> Tensor:
    """Mean squared difference of the probabilities of two views, the second mirrored back; a scalar, 0 to 1.

    0 without second views. Both views get a gradient.
    """
    probability = torch.sigmoid(at_least_float32(logits))
    second = probability[len(probability) - len(truth.views) :].flip(3)
    apart = (probability[truth.views] - second).square().flatten(1).mean(1)
    return _mean(apart, torch.ones_like(apart, dtype=torch.bool), average)


def ramp(step: int, steps: int) -> float:
    """Grows from exp(-5) to 1 over so many steps, 0 to 1."""
    left = 1 - min(1.0, step / steps) if steps else 0.0
    return math.exp(-_STEEPNESS * left * left)


def _mean(losses: Tensor, chosen: Tensor, average: Callable[[Tensor], Tensor]) -> Tensor:
    count = average(chosen.sum().to(losses.dtype))
    return (losses * chosen).sum() / count.clamp_min(1e-6)
