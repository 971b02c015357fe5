"""The NCL network: DeepLabV3+ on a dilated ResNet with four supervised decoder stages.

Zhou et al., ICCV 2023 (arXiv 2309.14900), section 3. Shapes: B images, C channels, H, W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ncl_model.architecture.backbone import Backbone, Features, ResidualFilters
from ncl_model.architecture.compression import CompressionStream
from ncl_model.architecture.config import CANVAS_MULTIPLE, NclConfig
from ncl_model.architecture.decoder import RATES, Decoder, Pyramid
from ncl_model.architecture.inputs import prepared

#: probability of "tampered" an untrained network starts from; most pixels are authentic
_PRIOR_LOGIT = -2.0


class ExpertOutput(NamedTuple):
    """What one expert of several says."""

    #: (B, 1, H/s, W/s) of its supervised stages, coarse to fine
    logits: tuple[Tensor, ...]
    #: (B, C, H/p, W/p), the features its contrast works on; p is the side of a patch in pixels
    patches: Tensor
    #: (B,) logit of "something in this image was tampered with"
    image: Tensor


class NclOutput(NamedTuple):
    """Logits of every decoder stage, and the features the pivot network contrasts."""

    #: (B, 1, H/s, W/s), coarse to fine; the prediction is the last
    logits: tuple[Tensor, ...]
    #: (B, C1, H/s, W/s), after the first residual stage; s is ``patch_side``
    patches: Tensor
    #: (B,) logit of "something in this image was tampered with"; None without an image head
    image: Tensor | None = None
    #: of networks that are made of several
    experts: tuple[ExpertOutput, ...] = ()
    #: side of a patch in pixels of the input
    patch_side: int = 4

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the input in pixels."""
        height, width = self.patches.shape[2:]
        return self.patch_side * height, self.patch_side * width

    def map_logits(self) -> Tensor:
        """(B, 1, H, W) the prediction, brought to the size of the input."""
        last = self.logits[-1]
        if last.shape[2:] == self.size:
            return last
        return F.interpolate(last.float(), size=self.size, mode="bilinear", align_corners=False)


def initialise(network: nn.Module, heads: Sequence[nn.Conv2d]) -> None:
    """He et al.'s normal kernels; the convolutions that give logits start small, at a low prior of "tampered"."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for head in heads:
        nn.init.normal_(head.weight, std=0.01)
        nn.init.constant_(head.bias, _PRIOR_LOGIT)  # type: ignore[arg-type]


class ImageHead(nn.Module):
    """One logit per image from the pyramid's features, pooled by mean and by maximum [ours].

    The mean sees the history of the whole file, the maximum a small forgery.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(2 * channels, channels)
        self.logit = nn.Linear(channels, 1)

    def forward(self, pyramid: Tensor, cells: Sequence[tuple[int, int]] | None = None) -> Tensor:
        """(B, C, h, w) to (B,); ``cells``: (rows, columns) of each image that are photograph and not padding."""
        if cells is None:
            pooled = self._pooled(pyramid)
        else:
            parts = [pyramid[i : i + 1, :, :rows, :columns] for i, (rows, columns) in enumerate(cells)]
            pooled = torch.cat([self._pooled(part) for part in parts])
        logit: Tensor = self.logit(F.relu(self.hidden(pooled))).squeeze(1)
        return logit

    @staticmethod
    def _pooled(features: Tensor) -> Tensor:
        return torch.cat([features.mean(dim=(2, 3)), features.amax(dim=(2, 3))], dim=1)


class NclNetwork(nn.Module):
    """Pixels in, tampering logits out. Normalisation is inside, so a checkpoint cannot be fed wrongly."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: NclConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", 255.0 * torch.tensor(config.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255.0 * torch.tensor(config.std).view(1, 3, 1, 1), persistent=False)
        self.residual = ResidualFilters() if config.residual == "srm" else None
        self.backbone = Backbone(config)
        stem, stage1, stage2, encoded = self.backbone.channels
        #: channels of the features that are contrasted
        self.patch_channels = (stage1,)
        extra = config.compression_channels if config.compression == "dct" else 0
        self.compression = CompressionStream(extra) if extra else None
        self.pyramid = Pyramid(encoded + extra, config.aspp_channels, RATES[config.output_stride])
        self.decoder = Decoder(config.aspp_channels, (stem, stage1, stage2 + extra), config.decoder_channels)
        self.image_head = ImageHead(config.aspp_channels) if config.head == "pooled" else None
        initialise(self, self.decoder.heads())

    def forward(self, pixels: Tensor, valid_sizes: Sequence[tuple[int, int]] | None = None) -> NclOutput:
        """(B, 3, H, W) RGB, uint8 or float, values 0-255; H and W multiples of 32.

        ``valid_sizes``: (height, width) of each image without its padding at the right and bottom, which the image
        head leaves out; without it everything is photograph. Raises ValueError for any other shape.
        """
        if pixels.ndim != 4 or pixels.shape[1] != 3:
            raise ValueError(f"pixels must be (B, 3, H, W), got {tuple(pixels.shape)}")
        height, width = pixels.shape[2:]
        if height % CANVAS_MULTIPLE or width % CANVAS_MULTIPLE:
            raise ValueError(f"H and W must be multiples of {CANVAS_MULTIPLE}, got {height}x{width}")
        features = self._join(self.backbone(self.prepare(pixels)), pixels)
        pyramid = self.pyramid(features.encoded)
        logits = self.decoder(pyramid, features, (height, width))
        image = None
        if self.image_head is not None:
            stride = self.config.output_stride
            cells = valid_sizes and [(-(-height // stride), -(-width // stride)) for height, width in valid_sizes]
            image = self.image_head(pyramid, cells)
        return NclOutput(logits, features.stage1, image)

    def prepare(self, pixels: Tensor) -> Tensor:
        """Normalised RGB and, if configured, the high-pass maps: (B, 3 or 12, H, W) float32."""
        return prepared(pixels, self.mean, self.std, self.residual)[0]

    def _join(self, features: Features, pixels: Tensor) -> Features:
        """The compression stream, where there is one, beside the features of its stride and of the encoder."""
        if self.compression is None:
            return features
        traces = self.compression(pixels)
        coarse = F.avg_pool2d(traces, self.config.output_stride // 8) if self.config.output_stride > 8 else traces
        return features._replace(
            stage2=torch.cat([features.stage2, traces], dim=1), encoded=torch.cat([features.encoded, coarse], dim=1)
        )
