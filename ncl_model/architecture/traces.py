"""The expert of compression traces: 8x8 blocks read on the grids that the photograph really has. Shapes: B, C, H, W."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ncl_model.architecture.backbone import Block, conv_bn_relu
from ncl_model.architecture.compression import BLOCK, FEATURES, CompressionFeatures
from ncl_model.architecture.decoder import DecoderStage
from ncl_model.architecture.network import ExpertOutput, ImageHead
from ncl_model.architecture.relative import Relative, Sizes, valid_cells

#: of each image of a batch its native blocks (``imaging.native_blocks``), or None where it has none; None: nobody has
Blocks = Sequence[Tensor | None] | None

#: dilations of the blocks before and after the features are compared with the rest of the image
_BEFORE, _AFTER = (1, 2), (4, 8)


class TraceExpert(nn.Module):
    """Features of blocks on two grids, and two supervised stages at strides 8 and 4."""

    def __init__(self, channels: int, last: int) -> None:
        """``channels`` of the layers, ``last`` of the features that the maps are joined from."""
        super().__init__()
        self.features = CompressionFeatures()
        self.narrow = conv_bn_relu(FEATURES, channels, 1)
        self.both = conv_bn_relu(2 * channels, channels, 1)
        self.before = _blocks(channels, _BEFORE)
        self.relative = Relative(BLOCK)
        self.merge = conv_bn_relu(2 * channels, channels, 1)
        self.after = _blocks(channels, _AFTER)
        self.stride8 = DecoderStage(channels, channels, channels)
        self.stride4 = DecoderStage(channels, 0, last)
        self.image_head = ImageHead(channels)
        #: channels of the features that are contrasted, and of those the maps are joined from
        self.patch_channels, self.last_channels = channels, last

    def forward(
        self, pixels: Tensor, sizes: Sizes, grids: Tensor | None, blocks: Blocks = None
    ) -> tuple[ExpertOutput, Tensor]:
        """(B, 3, H, W) in 0-255 and (B, 2, 2) phases to the output and the last features, (B, C, H/4, W/4).

        ``blocks``: for each image its native blocks, or None where the canvas is the photograph.
        """
        height, width = pixels.shape[2:]
        cells = valid_cells(sizes, BLOCK) or [(height // BLOCK, width // BLOCK)] * len(pixels)
        with torch.autocast(device_type=pixels.device.type, enabled=False):
            luma = self.features.luma_of(pixels)
        first, second = (
            self._on(luma, None if grids is None else grids[:, i], _layer(blocks, i), cells) for i in range(2)
        )
        early = self.before(self.both(torch.cat([first, second], dim=1)))
        x = self.after(self.merge(self.relative(early, sizes)))
        image = self.image_head(x, valid_cells(sizes, BLOCK))
        x, at8 = self.stride8(x, (height // 8, width // 8), early)
        x, at4 = self.stride4(x, (height // 4, width // 4), None)
        return ExpertOutput((at8, at4), early, image), x

    def heads(self) -> list[nn.Conv2d]:
        """The convolutions that give logits."""
        return [self.stride8.head, self.stride4.head]

    def _on(self, luma: Tensor, phases: Tensor | None, blocks: Blocks, cells: Sequence[tuple[int, int]]) -> Tensor:
        """Narrowed features of (B, 1, H, W) luma on one grid per image, (B, channels, H/8, W/8), where they belong."""
        with torch.autocast(device_type=luma.device.type, enabled=False):
            # float32: a coefficient of 300 has steps of 2 in bfloat16, and the combs would be noise
            if blocks is None:
                features = self.features.of_luma(luma if phases is None else on_grid(luma, phases))
            else:
                features = torch.cat([self._single(luma, phases, blocks[i], cells[i], i) for i in range(len(luma))])
        narrowed: Tensor = self.narrow(features)
        if phases is None:
            return narrowed
        if blocks is not None:  # what was gathered lies where it belongs
            phases = phases * torch.tensor([[each is None] for each in blocks], device=phases.device)
        return moved_back(narrowed, phases)

    def _single(
        self, luma: Tensor, phases: Tensor | None, blocks: Tensor | None, cells: tuple[int, int], index: int
    ) -> Tensor:
        """(1, FEATURES, H/8, W/8) of one image of the batch, from its blocks where it has some."""
        if blocks is not None:
            return spread(self.features.of_luma(blocks[None, None].float()), cells, luma.shape[2:])
        own = luma[index : index + 1]
        return self.features.of_luma(own if phases is None else on_grid(own, phases[index : index + 1]))


def spread(features: Tensor, cells: tuple[int, int], canvas: Sequence[int]) -> Tensor:
    """(1, C, n * rows, n * columns) of gathered blocks to (1, C, H/8, W/8): averaged by cell, padding repeats the edge.

    ``cells``: rows and columns that are photograph; ``canvas``: (H, W) in pixels.
    """
    per_cell = features.shape[2] // cells[0]
    pooled = F.avg_pool2d(features, per_cell)
    below, right = (side // BLOCK - count for side, count in zip(canvas, cells, strict=True))
    return F.pad(pooled, (0, right, 0, below), mode="replicate")


def _layer(blocks: Blocks, index: int) -> Blocks:
    """Those on one of the two grids, (h, w) each."""
    return None if blocks is None else [None if each is None else each[index] for each in blocks]


def on_grid(pixels: Tensor, phases: Tensor) -> Tensor:
    """(B, C, H, W) moved so that blocks begin at the first pixel: at most half a block, edges repeated.

    ``phases`` (B, 2): rows and columns before the first whole block, 0-7.
    """
    height, width = pixels.shape[2:]
    padded = F.pad(pixels.float(), (BLOCK,) * 4, mode="replicate")
    rows = []
    for image, (row, column) in zip(padded, _nearest(phases).tolist(), strict=True):
        rows.append(image[:, BLOCK + row : BLOCK + row + height, BLOCK + column : BLOCK + column + width])
    return torch.stack(rows)


def moved_back(features: Tensor, phases: Tensor) -> Tensor:
    """(B, C, h, w) of blocks that ``on_grid`` moved, resampled to where their pixels were, linearly.

    ``phases`` may stay in the host's memory: then no step waits for a GPU to say whether anything moved.
    """
    shares = _nearest(phases).to(features.device, features.dtype) / BLOCK
    for axis in (0, 1):
        if bool(phases[:, axis].any()):
            share = shares[:, axis].view(-1, 1, 1, 1)
            earlier, later = _neighbours(features, 2 + axis)
            features = features + share.clamp_min(0) * (earlier - features) - share.clamp_max(0) * (later - features)
    return features


def _nearest(phases: Tensor) -> Tensor:
    """Phases 0-7 as moves of -3 to 4 pixels."""
    return torch.where(phases > BLOCK // 2, phases - BLOCK, phases)


def _neighbours(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """The cell before and the cell after each, edges repeated."""
    size = x.shape[axis]
    before = torch.cat([x.narrow(axis, 0, 1), x.narrow(axis, 0, size - 1)], dim=axis)
    return before, torch.cat([x.narrow(axis, 1, size - 1), x.narrow(axis, size - 1, 1)], dim=axis)


def _blocks(channels: int, rates: tuple[int, ...]) -> nn.Sequential:
    return nn.Sequential(*(Block(channels, channels, bottleneck=False, stride=1, dilation=rate) for rate in rates))
