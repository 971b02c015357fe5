"""What a training run is made of; a run prints its whole recipe and stores it in its checkpoint."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ncl_model.config import NclConfig
from ncl_model.errors import ConfigInvalid

#: the network of the shipped preview: small enough for two CPU cores
PREVIEW_NETWORK = NclConfig(
    backbone="resnet18",
    width=48,
    output_stride=16,
    stem="deep",
    residual="srm",
    aspp_channels=128,
    decoder_channels=96,
    geometry="fit",
)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run. The defaults are the preview's [ours]."""

    network: NclConfig = field(default_factory=lambda: PREVIEW_NETWORK)
    seed: int = 4
    #: wall time of training in minutes; the learning rate follows it down to zero
    minutes: float = 60.0
    batch: int = 16
    #: side of a training crop in pixels, native size, a multiple of 32
    crop: int = 256
    #: AdamW
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    clip_norm: float = 5.0
    warmup_steps: int = 100
    #: contour weight of the loss; 0.08 makes a contour pixel count about three times
    mu: float = 0.08
    #: shares of a batch: photographs tampered by people, and by program; the rest is authentic
    people: float = 0.40
    synthetic: float = 0.45
    #: probability of a last JPEG compression
    jpeg: float = 0.5
    #: share of the groups kept for validation
    held_out: float = 0.15
    #: decay of the averaged weights, which are the ones that are saved
    average: float = 0.998
    precision: str = "bfloat16"
    #: minutes between saved states, and between validations
    save_minutes: float = 3.0
    validate_minutes: float = 12.0

    def __post_init__(self) -> None:
        if self.crop % 32 or self.crop < 64:
            raise ConfigInvalid("crop", "must be a multiple of 32, at least 64")
        if self.minutes <= 0 or self.batch < 2:
            raise ConfigInvalid("minutes", "minutes must be above 0 and batch at least 2")
        if min(self.people, self.synthetic) < 0 or self.people + self.synthetic > 1:
            raise ConfigInvalid("people", "people and synthetic are shares that add up to at most 1")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**dataclasses.asdict(self), "network": self.network.to_dict()}

    @classmethod
    def from_file(cls, path: Path) -> TrainConfig:
        """Read a JSON object of fields; absent ones take their default, ``network`` is an NclConfig.

        Raises ConfigInvalid for unknown fields or unreadable JSON.
        """
        try:
            values = dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise ConfigInvalid("config", f"{path} is not a JSON object ({error})") from error
        unknown = sorted(set(values) - {f.name for f in dataclasses.fields(cls)})
        if unknown:
            raise ConfigInvalid(unknown[0], "unknown field of a training recipe")
        if "network" in values:
            values["network"] = NclConfig.from_dict(values["network"])
        return cls(**values)
