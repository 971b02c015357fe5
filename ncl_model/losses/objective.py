"""What training minimises: L = omega * L_NCL + L_PC, and the losses of image heads and of labels without masks.

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
from ncl_model.losses.truth import NO_LABEL, Truth
from ncl_model.losses.weak_labels import pooled_label_loss, ramp, view_consistency

__all__ = ["LossConfig", "LossParts", "Objective"]


class LossParts(NamedTuple):
    """Scalars, float32. ``total`` carries the gradient; the others are detached, for the log."""

    total: Tensor
    pivot_consistent: Tensor  #: L_PC, summed over experts
    contrast: Tensor  #: L_NCL before omega, summed over experts; 0 when no image has enough patches of every kind
    image: Tensor  #: binary cross-entropy of the image heads; 0 without a head
    #: first term of L_NCL over its value by chance, mean over experts; 1: the contrast tells nothing apart
    against_chance: Tensor
    weak: Tensor  #: of photographs that are tampered with nobody knows where, weighted; 0 without any


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
        self,
        output: NclOutput,
        target: Tensor | Truth,
        *,
        step: int,
        across_workers: Callable[[Tensor], Tensor] = _alone,
    ) -> LossParts:
        """``target``: a mask (B, 1, H, W) in {0, 1}, or what is known of it; ``step`` is the optimizer step.

        ``across_workers`` turns counts into their means over all workers of a distributed run, so that
        averaged gradients are those of the whole global batch. Computed in float32 whatever the network ran in.
        """
        truth = target if isinstance(target, Truth) else Truth.everywhere(target)
        with torch.autocast(device_type=truth.mask.device.type, enabled=False):
            parts = _parts(output)
            consistent = torch.stack([self._consistent(part.logits, truth, across_workers) for part in parts]).sum()
            if output.experts:
                consistent = consistent + self._consistent(output.logits, truth, across_workers)
            contrast, ratio = self._contrast(parts, truth, across_workers)
            image = torch.stack([_image_loss(part.image, truth, across_workers) for part in parts]).mean()
            weak = self._weak(output.logits[-1], truth, step, across_workers)
        warm = min(1.0, step / self.config.warmup_steps) if self.config.warmup_steps else 1.0
        total = consistent + self.config.image_weight * image + weak
        if self.levels:
            total = total + self.config.omega * warm * contrast
        return LossParts(total, consistent.detach(), contrast.detach(), image.detach(), ratio, weak.detach())

    def _consistent(self, logits: Sequence[Tensor], truth: Truth, average: Callable[[Tensor], Tensor]) -> Tensor:
        last_only = self.config.stages == "last"
        return pivot_consistent_loss(
            logits, truth.mask, known=truth.known, mu=self.config.mu, last_only=last_only, average=average
        )

    def _weak(self, logits: Tensor, truth: Truth, step: int, average: Callable[[Tensor], Tensor]) -> Tensor:
        config = self.config
        label = config.label_weight * pooled_label_loss(logits, truth, average)
        agreement = config.consistency_weight * ramp(step, config.consistency_steps)
        return label + agreement * view_consistency(logits, truth, average)

    def _contrast(
        self, parts: Sequence[ExpertOutput | NclOutput], truth: Truth, average: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        if not self.levels:
            return truth.mask.new_zeros(()), truth.mask.new_ones(())
        pairs = zip(self.levels, parts, strict=True)
        terms = [level(part.patches, truth.mask, average, truth.known) for level, part in pairs]
        return torch.stack([t.loss for t in terms]).sum(), torch.stack([t.against_chance for t in terms]).mean()


def _parts(output: NclOutput) -> Sequence[ExpertOutput | NclOutput]:
    return output.experts or (output,)


def _image_loss(logits: Tensor | None, truth: Truth, average: Callable[[Tensor], Tensor]) -> Tensor:
    """Binary cross-entropy of "anything tampered in this image?"; (B,) logits. Images without a label take no part."""
    if logits is None:
        return truth.mask.new_zeros(())
    labelled = (truth.labels != NO_LABEL).float()
    losses = F.binary_cross_entropy_with_logits(logits.float(), truth.labels.clamp_min(0).float(), reduction="none")
    return (losses * labelled).sum() / average(labelled.sum()).clamp_min(1e-6)
