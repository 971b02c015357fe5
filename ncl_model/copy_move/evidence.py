"""What a search for copied regions found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

#: (left, top, right, bottom) as fractions of width and height
FractionBox = tuple[float, float, float, float]
#: (x of one end, y, x of the other, y) as fractions of width and height
FractionLine = tuple[float, float, float, float]

Level = Literal["none", "loose", "strict"]
_DIGITS = 4


@dataclass(frozen=True, kw_only=True)
class CopiedPair:
    """Two regions of one photograph, one of which is a copy of the other. Which of them is not known."""

    first: FractionBox
    second: FractionBox
    #: from the first to the second: degrees clockwise, -180 to 180; of a mirrored one, after changing left and right
    angle_deg: float
    #: size of the second / size of the first
    scale: float
    mirrored: bool
    #: from the middle of the first to that of the second: pixels of the photograph, right and down
    shift_px: tuple[float, float]
    #: matches of keypoints that agree
    inliers: int
    #: mean ZNCC of the textured windows, and of their high-pass residual: -1 to 1
    zncc: float
    residual_zncc: float
    #: pixels of the first region at the photograph's own size
    area_px: int
    #: log(1 + odds of a copy): 0 and up
    statistic: float
    #: some of the matches, to be drawn
    lines: tuple[FractionLine, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON types, rounded."""
        return {name: _plain(value) for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The pair of a document by ``to_dict``."""
        values = dict(document)
        for name in ("first", "second", "shift_px"):
            values[name] = tuple(values[name])
        return cls(**{**values, "lines": tuple(tuple(line) for line in values["lines"])})


@dataclass(frozen=True, kw_only=True, eq=False)
class CopyMoveEvidence:
    """All that speaks for copied regions in one photograph."""

    #: 0 (nothing) and up, the more the surer: log(1 + odds) of the surest pair. Only its order means something
    statistic: float
    level: Level
    #: False where the photograph is too small to be searched
    searched: bool
    #: the surest first; only pairs that are loose evidence or more
    pairs: tuple[CopiedPair, ...]
    #: (H, W) float32 of the photograph, 0 to 1: how sure both ends of each pair are; 0 where there is none. None in
    #: evidence that was read from a document
    heatmap: NDArray[np.float32] | None

    def to_dict(self) -> dict[str, Any]:
        """JSON types, rounded, without the heatmap."""
        return {
            "statistic": _plain(self.statistic),
            "level": self.level,
            "searched": self.searched,
            "pairs": [pair.to_dict() for pair in self.pairs],
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The evidence of a document by ``to_dict``."""
        pairs = tuple(map(CopiedPair.from_dict, document["pairs"]))
        return cls(
            statistic=document["statistic"],
            level=document["level"],
            searched=document["searched"],
            pairs=pairs,
            heatmap=None,
        )


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return round(value, _DIGITS) if isinstance(value, float) else value
