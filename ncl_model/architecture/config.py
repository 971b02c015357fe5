"""Everything that decides what the network is and how a photograph reaches it.

The config travels inside the checkpoint, and its JSON is part of the fingerprint: two predictors with
equal weights and different preprocessing are two different models.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ncl_model.architecture.evidence_rule import EvidenceRule
from ncl_model.copy_move.config import CopyMoveConfig
from ncl_model.errors import ConfigInvalid

Backbone = Literal["resnet18", "resnet34", "resnet50", "resnet101"]
Geometry = Literal["stretch", "fit"]
Residual = Literal["none", "srm"]
Stem = Literal["conv7", "deep"]
Compression = Literal["none", "dct"]
Head = Literal["none", "pooled"]
Architecture = Literal["joined", "experts"]
Grid = Literal["fixed", "estimated"]
Statistic = Literal["level", "contrast"]
ScoreRule = Literal["top_mean", "area", "peak", "head", "head_top_mean", "head_area", "head_peak", "evidence"]

#: sides of every canvas are multiples of this, so that all strides divide them
CANVAS_MULTIPLE = 32
#: smallest side of a canvas, in pixels
CANVAS_MINIMUM = 64

_CHOICES: dict[str, tuple[object, ...]] = {
    "backbone": ("resnet18", "resnet34", "resnet50", "resnet101"),
    "output_stride": (8, 16),
    "geometry": ("stretch", "fit"),
    "residual": ("none", "srm"),
    "stem": ("conv7", "deep"),
    "compression": ("none", "dct"),
    "head": ("none", "pooled"),
    "architecture": ("joined", "experts"),
    "grid": ("fixed", "estimated"),
    "statistic": ("level", "contrast"),
    "score_rule": ("top_mean", "area", "peak", "head", "head_top_mean", "head_area", "head_peak", "evidence"),
}
_RANGES: dict[str, tuple[int, int]] = {
    "width": (4, 256),
    "compression_channels": (4, 2048),
    "aspp_channels": (4, 2048),
    "decoder_channels": (8, 2048),
    "input_size": (CANVAS_MINIMUM, 8192),
    "score_window": (1, 1024),
    "encoder_channels": (0, 2048),
    "native_blocks": (0, 8),
    "halved_above": (0, 8192),
}
#: fields that came after the first weights were published; left out of the JSON while they have their default, so
#: that those weights keep their fingerprint
_LATER = frozenset(
    {
        "compression",
        "compression_channels",
        "head",
        "score_rule",
        "score_cutoff",
        "score_window",
        "draft_margin",
        "architecture",
        "grid",
        "encoder_channels",
        "native_blocks",
        "halved_above",
        "statistic",
        "copy_move",
        "evidence",
    }
)


@dataclass(frozen=True, kw_only=True)
class NclConfig:
    """Network shape, preprocessing and score rule. The defaults are the paper's (see ``output_stride``)."""

    #: "joined" is the paper's one network, with what is added joining its features; "experts" is two networks with a
    #: map each, one of pixels and one of compression traces, and a third map from both: see ``experts``
    architecture: Architecture = "joined"
    #: residual network behind the features; the paper uses resnet101 and says any will do
    backbone: Backbone = "resnet101"
    #: channels of the first residual stage; 64 is the published ResNet
    width: int = 64
    #: input pixels per encoder cell; the paper's 64x64 features of a 512x512 input are stride 8
    output_stride: Literal[8, 16] = 8
    #: "conv7" is the published stem; "deep" replaces it by three 3x3 convolutions
    stem: Stem = "conv7"
    #: fixed high-pass maps concatenated to RGB: "none" is the paper, "srm" adds three filters per colour
    residual: Residual = "none"
    #: features of JPEG's 8x8 blocks beside RGB: "none" is the paper, "dct" adds the compression stream
    compression: Compression = "none"
    #: channels of the compression stream, if there is one
    compression_channels: int = 96
    #: where the 8x8 blocks begin that the compression stream reads: "fixed" at the first pixel, or "estimated" from the
    #: pixels, which survives a crop (experts only)
    grid: Grid = "fixed"
    #: photographs larger than the canvas: so many of their 8x8 blocks a side, at native size, stand for each cell of
    #: the compression stream (see ``imaging.native_blocks``); 0: the stream reads the canvas, as for smaller ones
    #: ("estimated" grids only)
    native_blocks: int = 0
    #: canvases with a side longer than this, in pixels, are seen by the expert of pixels at half size, as means of 2x2
    #: pixels: what it looks for has a size that it was trained at (experts only); 0: never
    halved_above: int = 0
    #: most channels of the backbone's last stages; 0: as published, width * 8
    encoder_channels: int = 0
    #: an image-level logit beside the map: "none" is the paper, "pooled" a small network over pooled features
    head: Head = "none"
    #: channels of each branch of the atrous spatial pyramid
    aspp_channels: int = 256
    #: channels of the first decoder stage; each later stage has half of the one before
    decoder_channels: int = 256
    #: longest side the network sees, in pixels ("fit"), or the side of the square ("stretch")
    input_size: int = 512
    #: "stretch": bilinear to input_size x input_size (paper); "fit": aspect kept, never enlarged, padded
    geometry: Geometry = "stretch"
    #: a JPEG much larger than the canvas is decoded at 1/2, 1/4 or 1/8 of its size, the smallest that still has this
    #: factor above the canvas for the usual resize; 0: always decoded in full
    draft_margin: float = 1.5
    #: RGB mean of pixels scaled to 0-1
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    #: RGB standard deviation of pixels scaled to 0-1
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    #: how a map, the head, or both become the image score: see ``scoring``
    score_rule: ScoreRule = "top_mean"
    #: "top_mean": the score is the mean of this fraction of the pixels, the most suspect ones
    score_top_fraction: float = 0.01
    #: "area": pixels below this probability count as nothing
    score_cutoff: float = 0.5
    #: what of an expert's map p-values are made from: how high its most suspect hundredth is ("level"), or how far that
    #: stands out from the rest of the photograph ("contrast"); see ``inference.expert_statistics``
    statistic: Statistic = "level"
    #: how copied regions are searched for; None: not at all
    copy_move: CopyMoveConfig | None = None
    #: "evidence": how the statistics of experts and copies become one score; fitted by a release
    evidence: EvidenceRule | None = None
    #: "peak": side of the square window the map is averaged over, in pixels of the network's input
    score_window: int = 16

    def __post_init__(self) -> None:
        for field, allowed in _CHOICES.items():
            value = getattr(self, field)
            # 8.0 == 8, but it would make another fingerprint
            if value not in allowed or type(value) is not type(allowed[0]):
                raise ConfigInvalid(field, f"{value!r} is not one of {', '.join(map(str, allowed))}")
        for field, (low, high) in _RANGES.items():
            _check_integer(field, getattr(self, field), low, high)
        if self.geometry == "stretch" and self.input_size % CANVAS_MULTIPLE:
            raise ConfigInvalid("input_size", f"{self.input_size} is not a multiple of {CANVAS_MULTIPLE}")
        object.__setattr__(self, "mean", _rgb("mean", self.mean))
        object.__setattr__(self, "std", _rgb("std", self.std))
        if min(self.std) <= 0:
            raise ConfigInvalid("std", "every channel must be above 0")
        if not _is_number(self.score_top_fraction) or not 0 < self.score_top_fraction <= 1:
            raise ConfigInvalid("score_top_fraction", "must lie in (0, 1]")
        if not _is_number(self.score_cutoff) or not 0 <= self.score_cutoff < 1:
            raise ConfigInvalid("score_cutoff", "must lie in [0, 1)")
        if not _is_number(self.draft_margin) or not (self.draft_margin == 0 or 1 <= self.draft_margin <= 8):
            raise ConfigInvalid("draft_margin", "must be 0 or lie in [1, 8]")
        object.__setattr__(self, "draft_margin", float(self.draft_margin))  # 2 and 2.0 are one fingerprint
        self._check_together()

    def _check_together(self) -> None:
        if self.architecture == "experts" and (self.compression, self.head) != ("dct", "pooled"):
            raise ConfigInvalid("architecture", "'experts' needs compression 'dct' and head 'pooled'")
        if self.grid == "estimated" and self.architecture != "experts":
            raise ConfigInvalid("grid", "'estimated' is for the architecture 'experts' alone")
        if self.native_blocks and (self.grid, self.geometry) != ("estimated", "fit"):
            raise ConfigInvalid("native_blocks", "needs the grid 'estimated' and the geometry 'fit'")
        if self.halved_above and self.architecture != "experts":
            raise ConfigInvalid("halved_above", "is for the architecture 'experts' alone")
        if self.score_rule == "evidence" and (self.evidence is None or self.architecture != "experts"):
            raise ConfigInvalid("score_rule", "'evidence' needs the architecture 'experts' and a fitted 'evidence'")
        if self.score_rule.startswith("head") and self.head == "none":
            raise ConfigInvalid("score_rule", f"{self.score_rule!r} asks the image head, and head is 'none'")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, one key per field; fields of later versions are left out while they have their default."""
        return {
            field.name: _plain(getattr(self, field.name))
            for field in dataclasses.fields(self)
            if field.name not in _LATER or getattr(self, field.name) != field.default
        }

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces; equal configs give equal text."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> NclConfig:
        """Read what ``to_dict`` wrote; absent fields take their default.

        Raises ConfigInvalid for an unknown field or a value out of range.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        for key in values:
            if key not in known:
                raise ConfigInvalid(str(key), "unknown field; was this written by a newer version?")
        read = dict(values)
        if read.get("copy_move") is not None:
            read["copy_move"] = CopyMoveConfig.from_dict(read["copy_move"])
        if read.get("evidence") is not None:
            read["evidence"] = EvidenceRule.from_dict(read["evidence"])
        return cls(**read)

    @classmethod
    def from_json(cls, text: str) -> NclConfig:
        """Read what ``to_json`` wrote. Raises ConfigInvalid when the text is no JSON object."""
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigInvalid("config", f"not JSON ({error})") from error
        if not isinstance(values, dict):
            raise ConfigInvalid("config", "not a JSON object")
        return cls.from_dict(values)


def _plain(value: object) -> object:
    """A field's value as plain JSON types."""
    if isinstance(value, CopyMoveConfig | EvidenceRule):
        return value.to_dict()
    return list(value) if isinstance(value, tuple) else value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_integer(field: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigInvalid(field, f"{value!r} is not a whole number from {low} to {high}")


def _rgb(field: str, values: object) -> tuple[float, float, float]:
    """JSON gives lists; the dataclass keeps tuples so that equal configs compare equal."""
    if not isinstance(values, list | tuple) or len(values) != 3 or not all(map(_is_number, values)):
        raise ConfigInvalid(field, "must be three numbers, one per colour")
    if not all(map(math.isfinite, values)):
        raise ConfigInvalid(field, "must be finite")
    return float(values[0]), float(values[1]), float(values[2])
