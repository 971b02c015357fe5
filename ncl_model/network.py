"""The NCL network: DeepLabV3+ on a dilated ResNet with four supervised decoder stages.

Zhou et al., ICCV 2023 (arXiv 2309.14900), section 3. Shapes: B images, C channels, H, W pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ncl_model.backbone import Backbone, ResidualFilters
from ncl_model.config import CANVAS_MULTIPLE, NclConfig
from ncl_model.decoder import RATES, Decoder, Logits, Pyramid

#: probability of "tampered" an untrained network starts from; most pixels are authentic
_PRIOR_LOGIT = -2.0


class NclOutput(NamedTuple):
    """Logits of every decoder stage, and the features the pivot network contrasts."""

    logits: Logits
    #: (B, C1, H/4, W/4), after the first residual stage
    patches: Tensor


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
        self.pyramid = Pyramid(encoded, config.aspp_channels, RATES[config.output_stride])
        self.decoder = Decoder(config.aspp_channels, (stem, stage1, stage2), config.decoder_channels)
        self._initialise()

    def forward(self, pixels: Tensor) -> NclOutput:
        """(B, 3, H, W) RGB, uint8 or float, values 0-255; H and W multiples of 32.

        Raises ValueError for any other shape.
        """
        if pixels.ndim != 4 or pixels.shape[1] != 3:
            raise ValueError(f"pixels must be (B, 3, H, W), got {tuple(pixels.shape)}")
        height, width = pixels.shape[2:]
        if height % CANVAS_MULTIPLE or width % CANVAS_MULTIPLE:
            raise ValueError(f"H and W must be multiples of {CANVAS_MULTIPLE}, got {height}x{width}")
        features = self.backbone(self.prepare(pixels))
        logits = self.decoder(self.pyramid(features.encoded), features, (height, width))
        return NclOutput(logits, features.stage1)

    def prepare(self, pixels: Tensor) -> Tensor:
        """Normalised RGB and, if configured, the high-pass maps: (B, 3 or 12, H, W) float32.

        Kept in float32 under autocast: residuals of a few grey levels vanish in bfloat16's eight bits.
        """
        with torch.autocast(device_type=pixels.device.type, enabled=False):
            values = pixels.float()
            colours = (values - self.mean) / self.std
            if self.residual is None:
                return colours
            return torch.cat([colours, self.residual(values)], dim=1)

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for head in self.decoder.heads():
            nn.init.normal_(head.weight, std=0.01)
            nn.init.constant_(head.bias, _PRIOR_LOGIT)  # type: ignore[arg-type]


def channels_last(network: NclNetwork) -> NclNetwork:
    """The same network with kernels laid out channels last, which convolutions on CPUs run faster."""
    # torch's stubs leave memory_format out of Module.to
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
