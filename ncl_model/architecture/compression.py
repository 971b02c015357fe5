"""What earlier JPEG compressions left behind, as features of 8x8 blocks. Shapes: B images, H, W pixels.

An optional second input beside RGB [ours; the idea of a stream of DCT coefficients is CAT-Net's, IJCV 2022].
A region pasted from another JPEG file has coefficients quantised by other steps, or on a shifted grid.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ncl_model.architecture.backbone import Block, conv_bn_relu

#: side of JPEG's blocks; the input's first pixel is taken to start one
BLOCK = 8
#: alternating coefficients whose quantisation is looked at, the lowest in zigzag order
_LOWEST = 20
#: quantisation steps looked for
_STEPS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20)
#: ITU-R BT.601 luma, the plane JPEG keeps best
_LUMA = (0.299, 0.587, 0.114)
#: channels of ``CompressionFeatures``
FEATURES = BLOCK * BLOCK + _LOWEST * len(_STEPS)
#: rows of blocks worked on at once on a CPU
_ROWS = 8


class CompressionFeatures(nn.Module):
    """(B, 3, H, W) RGB in 0-255 to (B, FEATURES, H/8, W/8), float32, about -1..4. Nothing in it is learnt.

    64 channels are log(1 + |c|) / 2 of the block's DCT coefficients c: where a coarse quantiser left zeros.
    The others are cos(2 pi c / q) of the lowest coefficients for several steps q. Their mean over a region is
    the characteristic function of the coefficients' histogram at frequency 1/q, near 1 when the region was
    once quantised with the step q: averaging, which convolutions do well, finds the comb in the histogram.
    """

    basis: Tensor
    luma: Tensor
    lowest: Tensor
    frequencies: Tensor

    def __init__(self) -> None:
        super().__init__()
        order = sorted(range(BLOCK * BLOCK), key=lambda i: (i // BLOCK + i % BLOCK, i // BLOCK))
        # not persistent: the constants live in the code, so a weights file cannot change them
        self.register_buffer("basis", _dct_basis(), persistent=False)
        self.register_buffer("luma", torch.tensor(_LUMA).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("lowest", torch.tensor(order[1 : _LOWEST + 1]), persistent=False)
        self.register_buffer("frequencies", 2 * math.pi / torch.tensor(_STEPS, dtype=torch.float32), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.of_luma(self.luma_of(pixels))

    def luma_of(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) RGB to (B, 1, H, W) float32, both in 0-255."""
        return (pixels.float() * self.luma).sum(1, keepdim=True)

    def of_luma(self, luma: Tensor) -> Tensor:
        """The features of (B, 1, H, W) float32 luma in 0-255, channels last."""
        count, _, height, width = luma.shape
        rows, columns = height // BLOCK, width // BLOCK
        features = luma.new_empty((count, rows, columns, FEATURES))
        # some rows of blocks at a time, so that what lies between stays in a CPU's caches
        step = _ROWS if luma.device.type == "cpu" else rows
        for top in range(0, rows, step):
            below = min(rows, top + step)
            part = luma[:, 0, top * BLOCK : below * BLOCK, : columns * BLOCK] - 128.0
            blocks = part.view(count, below - top, BLOCK, columns, BLOCK).transpose(2, 3)
            coefficients = blocks.reshape(count, below - top, columns, BLOCK * BLOCK) @ self.basis
            features[:, top:below, :, : BLOCK * BLOCK] = torch.log1p(coefficients.abs()).mul_(0.5)
            angles = coefficients[..., self.lowest].unsqueeze(-2) * self.frequencies.view(-1, 1)
            features[:, top:below, :, BLOCK * BLOCK :] = angles.cos_().flatten(-2)
        return features.permute(0, 3, 1, 2)


class CompressionStream(nn.Module):
    """Learnt layers over ``CompressionFeatures``: (B, 3, H, W) in 0-255 to (B, channels, H/8, W/8)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.features = CompressionFeatures()
        self.narrow = conv_bn_relu(FEATURES, channels, 1)
        # growing dilation: a histogram needs many blocks
        blocks = [Block(channels, channels, bottleneck=False, stride=1, dilation=rate) for rate in (1, 2, 4)]
        self.blocks = nn.Sequential(*blocks)

    def forward(self, pixels: Tensor) -> Tensor:
        with torch.autocast(device_type=pixels.device.type, enabled=False):
            # float32: a coefficient of 300 has steps of 2 in bfloat16, and the combs would be noise
            features = self.features(pixels)
        merged: Tensor = self.blocks(self.narrow(features))
        return merged


def _dct_basis() -> Tensor:
    """(64 pixels, 64 frequencies): the orthonormal two-dimensional DCT-II of a block, row by row, as in JPEG."""
    k = torch.arange(BLOCK, dtype=torch.float64)
    rows = torch.cos((2 * k.unsqueeze(0) + 1) * k.unsqueeze(1) * math.pi / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
    rows[0] /= math.sqrt(2)
    return torch.einsum("ux,vy->uvxy", rows, rows).reshape(BLOCK * BLOCK, -1).T.contiguous().float()
