"""Atrous spatial pyramid and the four supervised decoder stages. Shapes: B, C, H, W."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ncl_model.architecture.backbone import Features, conv_bn_relu

#: dilations of the pyramid's 3x3 branches, by output stride (DeepLabV3+, ECCV 2018, section 4)
RATES: dict[int, tuple[int, int, int]] = {8: (12, 24, 36), 16: (6, 12, 18)}
#: input pixels per logit of each decoder stage, first to last (NCL.md: 64, 128, 256, 512 for a 512 input)
STAGE_STRIDES = (8, 4, 2, 1)


class Logits(NamedTuple):
    """Logits of the four decoder stages, each (B, 1, H/s, W/s); the prediction is ``stride1``."""

    stride8: Tensor
    stride4: Tensor
    stride2: Tensor
    stride1: Tensor


class Pyramid(nn.Module):
    """DeepLabV3+ pyramid: (B, C, h, w) to (B, channels, h, w)."""

    def __init__(self, inputs: int, channels: int, rates: tuple[int, int, int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList([conv_bn_relu(inputs, channels, 1)])
        self.branches.extend(conv_bn_relu(inputs, channels, 3, dilation=rate) for rate in rates)
        # no batch norm on the pooled branch: it sees B values, and a batch of one cannot be normalised
        self.pooled = nn.Conv2d(inputs, channels, 1)
        self.project = conv_bn_relu(5 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.relu(self.pooled(x.mean(dim=(2, 3), keepdim=True))).expand(-1, -1, *x.shape[2:])
        merged: Tensor = self.project(torch.cat([*(branch(x) for branch in self.branches), pooled], dim=1))
        return merged


class DecoderStage(nn.Module):
    """Enlarge, join with an early feature, refine, give logits."""

    def __init__(self, inputs: int, skip: int, channels: int) -> None:
        super().__init__()
        # early features are narrowed first, or they would outvote the encoder (DeepLabV3+, table 1)
        self.narrow = conv_bn_relu(skip, channels // 2, 1) if skip else None
        self.refine = conv_bn_relu(inputs + (channels // 2 if skip else 0), channels, 3)
        self.head = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor, size: tuple[int, int], skip: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, inputs, h, w) to features (B, channels, *size) and logits (B, 1, *size)."""
        if x.shape[2:] != size:
            x = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
        if self.narrow is not None and skip is not None:
            x = torch.cat([x, self.narrow(skip)], dim=1)
        refined = self.refine(x)
        return refined, self.head(refined)


class Decoder(nn.Module):
    """Four stages at strides 8, 4, 2, 1, each with its own logits, whatever the encoder's stride."""

    def __init__(self, encoded: int, skips: tuple[int, int, int], channels: int) -> None:
        """``encoded`` pyramid channels; ``skips`` channels of stem, stage1, stage2."""
        super().__init__()
        widths = [max(4, channels >> level) for level in range(4)]
        stem, stage1, stage2 = skips
        self.stride8 = DecoderStage(encoded, stage2, widths[0])
        self.stride4 = DecoderStage(widths[0], stage1, widths[1])
        self.stride2 = DecoderStage(widths[1], stem, widths[2])
        self.stride1 = DecoderStage(widths[2], 0, widths[3])

    def forward(self, pyramid: Tensor, features: Features, size: tuple[int, int]) -> Logits:
        """``size`` is (H, W) of the input; both are multiples of 8."""
        height, width = size
        x, at8 = self.stride8(pyramid, (height // 8, width // 8), features.stage2)
        x, at4 = self.stride4(x, (height // 4, width // 4), features.stage1)
        x, at2 = self.stride2(x, (height // 2, width // 2), features.stem)
        _, at1 = self.stride1(x, size, None)
        return Logits(at8, at4, at2, at1)

    def heads(self) -> tuple[nn.Conv2d, ...]:
        """The convolutions that give the logits, first stage to last."""
        return tuple(stage.head for stage in (self.stride8, self.stride4, self.stride2, self.stride1))
