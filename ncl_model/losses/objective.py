"""What training minimises: L = omega * L_NCL + L_PC, and the image head's loss where there is a head.

Zhou et al., ICCV 2023, eq. 9. The pivot network lives here and not in the network: inference never runs it. A network
made of experts has the loss of each, and that of the map they make together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ncl_model.architecture.network import ExpertOutput, NclOutput
from ncl_model.losses.loss_config import LossConfig
from ncl_model.losses.patch_contrast import PatchContrast
from ncl_model.losses.pivot_consistent import pivot_consistent_loss

__all__ = ["LossConfig", "LossParts", "Objective"]


class LossParts(NamedTuple):
    """Scalars, float32. ``total`` carries the gradient; the others are detached, for the log."""

    total: Tensor
    pivot_consistent: Tensor  #: L_PC, summed over experts
    contrast: Tensor  #: L_NCL before omega, summed over experts; 0 when no image has enough patches of every kind
    image: Tensor  #: binary cross-entropy of the image heads; 0 without a head
    #: first term of L_NCL over its value by chance, mean over experts; 1: the contrast tells nothing apart
    against_chance: Tensor


def _alone(count: Tensor) -> Tensor:
    return count


class Objective(nn.Module):
    """The loss of a batch, and the pivot networks that only the loss needs."""

    def __init__(self, config: LossConfig, *channels: int) -> None:
        """``channels`` of the features that are contrasted: of ``NclOutput.patches``, or one number per expert."""
        super().__init__()
        self.config = config
        levels = channels if config.contrast != "none" else ()
        self.levels = nn.ModuleList([PatchContrast(config, each) for each in levels])

    def forward(
        self, output: NclOutput, mask: Tensor, *, step: int, across_workers: Callable[[Tensor], Tensor] = _alone
    ) -> LossParts:
        """``mask`` (B, 1, H, W) in {0, 1}; ``step`` is the optimizer step, for omega's warm-up.

        ``across_workers`` turns a scalar count into its mean over all workers of a distributed run, so that
        averaged gradients are those of the whole global batch. Computed in float32 whatever the network ran in.
        """
        with torch.autocast(device_type=mask.device.type, enabled=False):
            parts = _parts(output)
            consistent = torch.stack([self._consistent(part.logits, mask, across_workers) for part in parts]).sum()
            if output.experts:
                consistent = consistent + self._consistent(output.logits, mask, across_workers)
            contrast, ratio = self._contrast(parts, mask, across_workers)
            image = torch.stack([_image_loss(part.image, mask) for part in parts]).mean()
        warm = min(1.0, step / self.config.warmup_steps) if self.config.warmup_steps else 1.0
        total = consistent + self.config.image_weight * image
        if self.levels:
            total = total + self.config.omega * warm * contrast
        return LossParts(total, consistent.detach(), contrast.detach(), image.detach(), ratio)

    def _consistent(self, logits: Sequence[Tensor], mask: Tensor, average: Callable[[Tensor], Tensor]) -> Tensor:
        last_only = self.config.stages == "last"
        return pivot_consistent_loss(logits, mask, mu=self.config.mu, last_only=last_only, average=average)

    def _contrast(
        self, parts: Sequence[ExpertOutput | NclOutput], mask: Tensor, average: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        if not self.levels:
            return mask.new_zeros(()), mask.new_ones(())
        pairs = zip(self.levels, parts, strict=True)
        terms = [level(part.patches, mask, average) for level, part in pairs]
        return torch.stack([t.loss for t in terms]).sum(), torch.stack([t.against_chance for t in terms]).mean()


def _parts(output: NclOutput) -> Sequence[ExpertOutput | NclOutput]:
    return output.experts or (output,)


def _image_loss(logits: Tensor | None, mask: Tensor) -> Tensor:
    """Binary cross-entropy of "anything tampered in this crop?"; (B,) logits."""
    if logits is None:
        return mask.new_zeros(())
    return F.binary_cross_entropy_with_logits(logits.float(), mask.flatten(1).amax(1))
