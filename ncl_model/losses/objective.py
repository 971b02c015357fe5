"""What training minimises: L = omega * L_NCL + L_PC, and the image head's loss where there is a head.

Zhou et al., ICCV 2023, eq. 9. The pivot network lives here and not in ``NclNetwork``: inference never runs it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ncl_model.architecture.network import NclOutput
from ncl_model.errors import ConfigInvalid
from ncl_model.losses.contrast import class_contrast, enough, pivot_contrast
from ncl_model.losses.patches import Kind, at_least_float32, choose, label_patches
from ncl_model.losses.pivot import PivotNetwork
from ncl_model.losses.pivot_consistent import pivot_consistent_loss

#: pixels per cell of ``NclOutput.patches``
FEATURE_STRIDE = 4


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights and arms of the loss; the defaults are NCL.md's starting values [ours, except mu's use]."""

    #: share of the contour term in L_PC; 0 is plain BCE. The paper found larger better
    mu: float = 0.8
    #: temperature of the contrast
    tau: float = 0.1
    #: weight of L_NCL once warm; aim for omega * L_NCL at 10-40 % of L_PC
    omega: float = 0.1
    #: optimizer steps over which omega grows linearly from 0
    warmup_steps: int = 1000
    #: side of a patch in pixels: 4, 8 or 16
    patch: int = 4
    #: patches of a kind that take part, per image
    tampered_patches: int = 256
    authentic_patches: int = 1024
    #: arms of the ablation: no contrast, tampered against authentic alone, or the contour through the pivot
    contrast: Literal["none", "classes", "pivot"] = "pivot"
    #: supervised decoder stages: the paper's four, or the last alone
    stages: Literal["all", "last"] = "all"
    #: weight of the image head's binary cross-entropy
    image_weight: float = 0.2

    def __post_init__(self) -> None:
        for field, low, high in (("mu", 0, 1), ("omega", 0, 100), ("image_weight", 0, 100), ("tau", 1e-3, 10)):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise ConfigInvalid(field, f"{value!r} is not a number from {low} to {high}")
        for field, low in (("warmup_steps", 0), ("tampered_patches", 4), ("authentic_patches", 4)):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ConfigInvalid(field, f"{value!r} is not a whole number from {low} on")
        choices = {"patch": (4, 8, 16), "contrast": ("none", "classes", "pivot"), "stages": ("all", "last")}
        for field, allowed in choices.items():
            if getattr(self, field) not in allowed:
                raise ConfigInvalid(field, f"{getattr(self, field)!r} is not one of {', '.join(map(str, allowed))}")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, one key per field."""
        return dataclasses.asdict(self)


class LossParts(NamedTuple):
    """Scalars, float32. ``total`` carries the gradient; the others are detached, for the log."""

    total: Tensor
    pivot_consistent: Tensor  #: L_PC
    contrast: Tensor  #: L_NCL before omega; 0 when no image has enough patches of every kind
    image: Tensor  #: binary cross-entropy of the image head; 0 without a head


def _alone(count: Tensor) -> Tensor:
    return count


class Objective(nn.Module):
    """The loss of a batch, and the pivot network that only the loss needs."""

    def __init__(self, config: LossConfig, channels: int) -> None:
        """``channels`` of ``NclOutput.patches``, ``network.backbone.channels[1]``."""
        super().__init__()
        self.config = config
        self.pivot = PivotNetwork(channels) if config.contrast == "pivot" else None

    def forward(
        self, output: NclOutput, mask: Tensor, *, step: int, across_workers: Callable[[Tensor], Tensor] = _alone
    ) -> LossParts:
        """``mask`` (B, 1, H, W) in {0, 1}; ``step`` is the optimizer step, for omega's warm-up.

        ``across_workers`` turns a scalar count into its mean over all workers of a distributed run, so that
        averaged gradients are those of the whole global batch. Computed in float32 whatever the network ran in.
        """
        with torch.autocast(device_type=mask.device.type, enabled=False):
            consistent = pivot_consistent_loss(
                output.logits, mask, mu=self.config.mu, last_only=self.config.stages == "last", average=across_workers
            )
            contrast = self._contrast(at_least_float32(output.patches), mask, across_workers)
            image = _image_loss(output.image, mask)
        warm = min(1.0, step / self.config.warmup_steps) if self.config.warmup_steps else 1.0
        total = consistent + self.config.image_weight * image
        if self.config.contrast != "none":
            total = total + self.config.omega * warm * contrast
        return LossParts(total, consistent.detach(), contrast.detach(), image.detach())

    def _contrast(self, features: Tensor, mask: Tensor, average: Callable[[Tensor], Tensor]) -> Tensor:
        """L_NCL, the mean over the images that have enough patches of every kind."""
        if self.config.contrast == "none":
            return features.new_zeros(())
        if self.config.patch > FEATURE_STRIDE:
            features = F.avg_pool2d(features, self.config.patch // FEATURE_STRIDE)
        kinds = label_patches(mask, self.config.patch)
        tampered, authentic = kinds == Kind.TAMPERED, kinds == Kind.AUTHENTIC
        p = choose(features, tampered, self.config.tampered_patches)
        n = choose(features, authentic, self.config.authentic_patches)
        losses, fit = class_contrast(p, n, tau=self.config.tau), enough(tampered, authentic)
        if self.pivot is not None:
            contour = kinds == Kind.CONTOUR
            pivots = self.pivot(features, contour)
            losses = losses + pivot_contrast(pivots, p, n, tau=self.config.tau)
            fit = enough(tampered, authentic, contour)
        # every image stays in the graph, so that all parameters get a gradient on every worker
        return (losses * fit).sum() / average(fit.sum().to(losses.dtype)).clamp_min(1e-6)


def _image_loss(logits: Tensor | None, mask: Tensor) -> Tensor:
    """Binary cross-entropy of "anything tampered in this crop?"; (B,) logits."""
    if logits is None:
        return mask.new_zeros(())
    return F.binary_cross_entropy_with_logits(logits.float(), mask.flatten(1).amax(1))
