"""Dilated ResNet encoder with an optional fixed high-pass input. Shapes: B, C, H, W."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ncl_model.architecture.config import NclConfig

#: residual blocks per stage, and whether they are bottlenecks (He et al., CVPR 2016, table 1)
LAYOUTS: dict[str, tuple[tuple[int, int, int, int], bool]] = {
    "resnet18": ((2, 2, 2, 2), False),
    "resnet34": ((3, 4, 6, 3), False),
    "resnet50": ((3, 4, 6, 3), True),
    "resnet101": ((3, 4, 23, 3), True),
}
#: (strides, dilations) of the four stages after the stem, by output stride [ours, NCL.md]
STAGES: dict[int, tuple[tuple[int, int, int, int], tuple[int, int, int, int]]] = {
    8: ((1, 2, 1, 1), (1, 1, 2, 4)),
    16: ((1, 2, 2, 1), (1, 1, 1, 2)),
}
#: extra dilation inside the last stage, block by block [ours, NCL.md]
MULTIGRID = (1, 2, 4)
#: SRM-like kernels: second derivative, KB 3x3 and KV 5x5 (Fridrich and Kodovsky, 2012; RGB-N, CVPR 2018)
_SRM = (
    ((0, 0, 0, 0, 0), (0, 0, 0, 0, 0), (0, 1, -2, 1, 0), (0, 0, 0, 0, 0), (0, 0, 0, 0, 0)),
    ((0, 0, 0, 0, 0), (0, -1, 2, -1, 0), (0, 2, -4, 2, 0), (0, -1, 2, -1, 0), (0, 0, 0, 0, 0)),
    ((-1, 2, -2, 2, -1), (2, -6, 8, -6, 2), (-2, 8, -12, 8, -2), (2, -6, 8, -6, 2), (-1, 2, -2, 2, -1)),
)
_SRM_DIVISORS = (2.0, 4.0, 12.0)
#: residuals are clipped to +-8 grey levels, then scaled to about +-2: strong edges must not drown the noise
_SRM_CLIP = 8.0
#: pixels to each side that a high-pass map looks at
FILTER_REACH = 2


class Features(NamedTuple):
    """What the decoder and the pivot need."""

    stem: Tensor  #: (B, stem, H/2, W/2)
    stage1: Tensor  #: (B, C1, H/4, W/4), the layer the paper's patches come from
    stage2: Tensor  #: (B, C2, H/8, W/8)
    encoded: Tensor  #: (B, C4, H/s, W/s), s = output stride


class ResidualFilters(nn.Module):
    """Fixed high-pass maps of an RGB image: (B, 3, H, W) in 0-255 to (B, 9, H, W), about -2..2, float32."""

    kernels: Tensor

    def __init__(self) -> None:
        super().__init__()
        kernels = torch.tensor(_SRM, dtype=torch.float32) / torch.tensor(_SRM_DIVISORS).view(3, 1, 1)
        # not persistent: the constants live in the code, so a weights file cannot change them
        self.register_buffer("kernels", kernels.unsqueeze(1).repeat(3, 1, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.inside(F.pad(pixels, (FILTER_REACH,) * 4, mode="replicate"))

    def inside(self, pixels: Tensor) -> Tensor:
        """The maps of all pixels but the outermost ``FILTER_REACH``: (B, 3, H + 4, W + 4) to (B, 9, H, W)."""
        maps = F.conv2d(pixels, self.kernels, groups=3)
        return maps.clamp_(-_SRM_CLIP, _SRM_CLIP).mul_(2.0 / _SRM_CLIP)


def conv_bn(inputs: int, outputs: int, kernel: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Convolution without bias and batch norm; the size is kept when stride is 1."""
    padding = dilation * (kernel // 2)
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


def conv_bn_relu(inputs: int, outputs: int, kernel: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """``conv_bn`` and a ReLU."""
    block = conv_bn(inputs, outputs, kernel, stride=stride, dilation=dilation)
    return block.append(nn.ReLU(inplace=True))


class Block(nn.Module):
    """Residual block, plain (two 3x3) or bottleneck (1x1, 3x3, 1x1 with four times the channels)."""

    def __init__(self, inputs: int, planes: int, *, bottleneck: bool, stride: int, dilation: int) -> None:
        super().__init__()
        outputs = planes * 4 if bottleneck else planes
        if bottleneck:
            self.body = nn.Sequential(
                conv_bn_relu(inputs, planes, 1),
                conv_bn_relu(planes, planes, 3, stride=stride, dilation=dilation),
                conv_bn(planes, outputs, 1),
            )
        else:
            self.body = nn.Sequential(
                conv_bn_relu(inputs, planes, 3, stride=stride, dilation=dilation),
                conv_bn(planes, outputs, 3, dilation=dilation),
            )
        same = stride == 1 and inputs == outputs
        self.shortcut: nn.Module = nn.Identity() if same else conv_bn(inputs, outputs, 1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x), inplace=True)


class Backbone(nn.Module):
    """Stem and four residual stages; channel counts are in ``channels`` (stem, stage1, stage2, encoded)."""

    def __init__(self, config: NclConfig) -> None:
        super().__init__()
        depths, bottleneck = LAYOUTS[config.backbone]
        strides, dilations = STAGES[config.output_stride]
        inputs = 3 if config.residual == "none" else 12
        self.stem = _stem(config.stem, inputs, config.width)
        stages, channels, widths = [], config.width, []
        for index in range(4):
            planes = min(config.width * 2**index, config.encoder_channels or config.width * 8)
            grid = MULTIGRID if index == 3 else (1,)
            blocks = []
            for number in range(depths[index]):
                stride = strides[index] if number == 0 else 1
                dilation = dilations[index] * grid[number % len(grid)]
                block = Block(channels, planes, bottleneck=bottleneck, stride=stride, dilation=dilation)
                blocks.append(block)
                channels = planes * 4 if bottleneck else planes
            stages.append(nn.Sequential(*blocks))
            widths.append(channels)
        self.stage1, self.stage2, self.stage3, self.stage4 = stages
        self.channels = (config.width, widths[0], widths[1], widths[3])

    def forward(self, x: Tensor) -> Features:
        """(B, 3 or 12, H, W) normalised, H and W multiples of 32, to ``Features``."""
        stem = self.stem(x)
        stage1 = self.stage1(F.max_pool2d(stem, 3, 2, 1))
        stage2 = self.stage2(stage1)
        return Features(stem, stage1, stage2, self.stage4(self.stage3(stage2)))


def _stem(kind: str, inputs: int, width: int) -> nn.Sequential:
    if kind == "conv7":
        return conv_bn_relu(inputs, width, 7, stride=2)
    return nn.Sequential(
        conv_bn_relu(inputs, width // 2, 3, stride=2),
        conv_bn_relu(width // 2, width // 2, 3),
        conv_bn_relu(width // 2, width, 3),
    )
