"""L_NCL of one level of patches: what is compared, by which features, and how far it is from chance.

Zhou et al., ICCV 2023, eq. 2-7. The paper compares the features themselves; after a ReLU all of them point into one
corner, every cosine is near 1, and the contrast idles. So they may be projected and centred first [ours].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ncl_model.losses.contrast import class_contrast, enough, pivot_contrast
from ncl_model.losses.loss_config import LossConfig
from ncl_model.losses.patches import Kind, at_least_float32, choose, label_patches
from ncl_model.losses.pivot import PivotNetwork


class Contrasted(NamedTuple):
    """Scalars, float32."""

    #: L_NCL before omega; 0 when no image has enough patches of every kind
    loss: Tensor
    #: the first term over what it is when features say nothing, log(1 + authentic patches); 1 without such an image
    against_chance: Tensor


class PatchContrast(nn.Module):
    """Pivot network, projection and loss of one level."""

    def __init__(self, config: LossConfig, channels: int) -> None:
        """``channels`` of the features."""
        super().__init__()
        self.config = config
        width = config.projection or channels
        self.projection = nn.Conv2d(channels, width, 1) if config.projection else None
        self.pivot = PivotNetwork(width) if config.contrast == "pivot" else None

    def forward(
        self, features: Tensor, mask: Tensor, average: Callable[[Tensor], Tensor], known: Tensor | None = None
    ) -> Contrasted:
        """``features`` (B, C, h, w), whose cells are patches or a whole part of one; ``mask`` (B, 1, H, W) in {0, 1}.

        ``known`` likewise: where the mask says something; None: everywhere. ``average`` turns a count into its mean
        over the workers of a distributed run.
        """
        features, side = self._features(at_least_float32(features), mask.shape[2])
        kinds = label_patches(mask, side, known)
        tampered, authentic = kinds == Kind.TAMPERED, kinds == Kind.AUTHENTIC
        p = choose(features, tampered, self.config.tampered_patches)
        n = choose(features, authentic, self.config.authentic_patches)
        first = class_contrast(p, n, tau=self.config.tau)
        losses, fit = first, enough(tampered, authentic)
        if self.pivot is not None:
            contour = kinds == Kind.CONTOUR
            pivoted = pivot_contrast(self.pivot(features, contour), p, n, tau=self.config.tau)
            # scribbles show no contour, and contrast all the same [ours]
            whole, scribbled = enough(contour), (kinds == Kind.UNKNOWN).flatten(1).any(1)
            losses = losses + pivoted * whole
            fit = fit & (whole | scribbled)
        # every image stays in the graph, so that all parameters get a gradient on every worker
        loss = (losses * fit).sum() / average(fit.sum().to(losses.dtype)).clamp_min(1e-6)
        chance = torch.log1p(n.valid.sum(1).to(first.dtype)).clamp_min(1e-6)
        ratio = torch.where(fit.any(), (first / chance * fit).sum() / fit.sum().clamp_min(1), 1.0)
        return Contrasted(loss, ratio.detach())

    def _features(self, features: Tensor, height: int) -> tuple[Tensor, int]:
        """What is compared, (B, C, h, w), and the side of its patches in pixels."""
        side = height // features.shape[2]
        if self.config.patch > side:
            features, side = F.avg_pool2d(features, self.config.patch // side), self.config.patch
        if self.projection is not None:
            features = self.projection(features)
        if self.config.centred:
            features = features - features.mean(dim=(2, 3), keepdim=True)
        return features, side
