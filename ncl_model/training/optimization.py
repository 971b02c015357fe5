"""The optimizer of a run, and the learning rate as the run goes on."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from ncl_model.training.recipe import TrainConfig

#: parts of the network that keep the learning rate as it is; all others are "head" (NCL.md: ASPP, decoder, pivot)
_TRUNK = ("network.backbone.", "network.compression.", "network.pixels.backbone.", "network.traces.")
#: end of the cosine, as a share of the learning rate [ours]
_FLOOR = 0.01


def learning_rate(recipe: TrainConfig, step: int, progress: float) -> float:
    """Linear warm-up over steps, then the recipe's curve over ``progress``, which goes from 0 to 1.

    Cosine: down to a hundredth [ours]. Poly: ``(1 - progress) ** poly_power`` (DeepLab, arXiv 1606.00915).
    """
    warm = min(1.0, (step + 1) / recipe.warmup_steps) if recipe.warmup_steps else 1.0
    if recipe.schedule == "poly":
        left: float = max(0.0, 1.0 - progress) ** recipe.poly_power
        return recipe.learning_rate * warm * left
    return recipe.learning_rate * warm * (_FLOOR + (1 - _FLOOR) * 0.5 * (1 + math.cos(math.pi * progress)))


def make_optimizer(recipe: TrainConfig, module: nn.Module) -> torch.optim.Optimizer:
    """AdamW or SGD over the training module's parameters. ``set_learning_rate`` sets the rate of every group.

    Fused: a step whose gradients are not finite can then be left out without asking the GPU about it.
    """
    groups = _groups(recipe, module)
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, fused=True)
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """``rate`` for the trunk, ``head_factor`` times as much for the rest."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]


def _groups(recipe: TrainConfig, module: nn.Module) -> list[dict[str, Any]]:
    """Trunk and head, kernels and vectors; weight decay on kernels only."""
    members: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        factor = 1.0 if name.startswith(_TRUNK) else recipe.head_factor
        decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
        members.setdefault((factor, decay), []).append(parameter)
    return [{"params": p, "weight_decay": decay, "factor": factor} for (factor, decay), p in members.items()]
