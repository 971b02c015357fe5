"""Two networks that look at different traces, and a map from both. Shapes: B images, C channels, H, W pixels.

What JPEG left behind is strong evidence that one resize wipes out; what pixels and their noise show is weaker and
survives. In one network the strong evidence drowns the weak. So each expert has its own map and its own loss, and a
small network that sends no gradient back joins the maps [ours; the parts are the paper's].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ncl_model.architecture.backbone import Backbone, ResidualFilters, conv_bn_relu
from ncl_model.architecture.config import CANVAS_MULTIPLE, NclConfig
from ncl_model.architecture.decoder import RATES, DecoderStage, Pyramid
from ncl_model.architecture.inputs import prepared
from ncl_model.architecture.network import ExpertOutput, ImageHead, NclOutput, initialise
from ncl_model.architecture.relative import Relative, Sizes, valid_cells
from ncl_model.architecture.traces import Blocks, TraceExpert

#: side of the cells the noise is measured in, in pixels
_NOISE_CELL = 8
#: channels the high-pass energies become
_NOISE_CHANNELS = 24
#: channels of the network that joins the maps
_JOINED = 32


class PixelExpert(nn.Module):
    """DeepLabV3+ over RGB and high-pass maps, its decoder ending at stride 4."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: NclConfig) -> None:
        super().__init__()
        self.stride = config.output_stride
        self.register_buffer("mean", 255.0 * torch.tensor(config.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255.0 * torch.tensor(config.std).view(1, 3, 1, 1), persistent=False)
        self.residual = ResidualFilters() if config.residual == "srm" else None
        self.backbone = Backbone(config)
        _, stage1, stage2, encoded = self.backbone.channels
        noise = _NOISE_CHANNELS if self.residual else 0
        self.noise = nn.Sequential(Relative(_NOISE_CELL), conv_bn_relu(18, noise, 1)) if noise else None
        self.pyramid = Pyramid(encoded + noise, config.aspp_channels, RATES[config.output_stride])
        self.relative = Relative(config.output_stride)
        self.merge = conv_bn_relu(2 * config.aspp_channels, config.aspp_channels, 1)
        self.stride8 = DecoderStage(config.aspp_channels, stage2 + noise, config.decoder_channels)
        self.stride4 = DecoderStage(config.decoder_channels, stage1, config.decoder_channels // 2)
        self.image_head = ImageHead(config.aspp_channels)
        #: channels of the features that are contrasted, and of those the maps are joined from
        self.patch_channels, self.last_channels = stage1, config.decoder_channels // 2

    def forward(self, pixels: Tensor, sizes: Sizes) -> tuple[ExpertOutput, Tensor]:
        """(B, 3, H, W) in 0-255 to the output and the last features, (B, C, H/4, W/4)."""
        height, width = pixels.shape[2:]
        inputs, energy = self._prepared(pixels)
        features = self.backbone(inputs)
        encoded, stage2 = features.encoded, features.stage2
        if self.noise is not None and energy is not None:
            noise = self.noise[1](self.noise[0](energy, sizes))
            stage2 = torch.cat([stage2, noise], dim=1)
            encoded = torch.cat([encoded, F.avg_pool2d(noise, self.stride // _NOISE_CELL)], dim=1)
        pyramid = self.merge(self.relative(self.pyramid(encoded), sizes))
        x, at8 = self.stride8(pyramid, (height // 8, width // 8), stage2)
        x, at4 = self.stride4(x, (height // 4, width // 4), features.stage1)
        image = self.image_head(pyramid, valid_cells(sizes, self.stride))
        return ExpertOutput((at8, at4), features.stage1, image), x

    def heads(self) -> list[nn.Conv2d]:
        """The convolutions that give logits."""
        return [self.stride8.head, self.stride4.head]

    def _prepared(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Normalised colours and high-pass maps; the logarithm of the maps' energy by cells of 8 pixels."""
        inputs, energy = prepared(pixels, self.mean, self.std, self.residual, _NOISE_CELL)
        return inputs, None if energy is None else torch.log(energy + 1e-4)


class ExpertsNetwork(nn.Module):
    """Pixels in, tampering logits of two experts and of both together out. Normalisation is inside."""

    def __init__(self, config: NclConfig) -> None:
        super().__init__()
        self.config = config
        self.pixels = PixelExpert(config)
        self.traces = TraceExpert(config.compression_channels, config.decoder_channels // 2)
        #: channels of the features that are contrasted, expert by expert
        self.patch_channels = (self.pixels.patch_channels, self.traces.patch_channels)
        joined = self.pixels.last_channels + self.traces.last_channels
        self.join = nn.Sequential(conv_bn_relu(joined, _JOINED, 3), conv_bn_relu(_JOINED, _JOINED, 3))
        self.join_head = nn.Conv2d(_JOINED, 1, 1)
        initialise(self, [*self.pixels.heads(), *self.traces.heads(), self.join_head])

    def forward(
        self,
        pixels: Tensor,
        valid_sizes: Sizes = None,
        grids: Tensor | None = None,
        blocks: Blocks = None,
        *,
        halved: bool | None = None,
    ) -> NclOutput:
        """(B, 3, H, W) RGB, uint8 or float, values 0-255; H and W multiples of 32.

        ``valid_sizes``: (height, width) of each image without its padding. ``grids``: (B, 2, 2) whole numbers 0-7, the
        phases of ``imaging.grid.find_grids``; None: blocks begin at the first pixel. ``blocks``: (2, h, w) luma of
        ``imaging.native_blocks`` for photographs larger than the canvas. ``halved``: whether the expert of pixels sees
        all of it at half size; None: as the config's ``halved_above`` has it. Raises ValueError for any other shape.
        """
        if pixels.ndim != 4 or pixels.shape[1] != 3:
            raise ValueError(f"pixels must be (B, 3, H, W), got {tuple(pixels.shape)}")
        height, width = pixels.shape[2:]
        if height % CANVAS_MULTIPLE or width % CANVAS_MULTIPLE:
            raise ValueError(f"H and W must be multiples of {CANVAS_MULTIPLE}, got {height}x{width}")
        if halved is None:
            halved = 0 < self.config.halved_above < max(height, width)
        if halved:
            seen, seen_last = self.pixels(F.avg_pool2d(pixels.float(), 2), valid_cells(valid_sizes, 2))
        else:
            seen, seen_last = self.pixels(pixels, valid_sizes)
        traced, traced_last = self.traces(pixels, valid_sizes, grids, blocks)
        if halved:
            seen_last = F.interpolate(seen_last, size=traced_last.shape[2:], mode="bilinear", align_corners=False)
        joined = self.join_head(self.join(torch.cat([seen_last.detach(), traced_last.detach()], dim=1)))
        image = (seen.image + traced.image) / 2
        return NclOutput((joined,), seen.patches, image, (seen, traced), patch_side=8 if halved else 4)
