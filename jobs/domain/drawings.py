"""Where people say that a photograph was tampered with: what they drew on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

#: values of a drawing's pixels; in a mask, which leaves no pixel open, 0 is authentic
UNKNOWN, AUTHENTIC, TAMPERED = 0, 128, 255


class DrawingKind(StrEnum):
    """How much of the photograph was said."""

    #: every pixel: tampered (255), or not (0)
    MASK = "mask"
    #: some pixels: tampered (255) or authentic (128); of the others nothing is known (0)
    SCRIBBLES = "scribbles"


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawingName:
    """What a drawing is known by: what it holds."""

    kind: DrawingKind
    #: of its PNG
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """A drawing as it was kept: never changed, never deleted."""

    kind: DrawingKind
    sha256: str
    #: pixels; the shape is that of the upright photograph, the size may be another
    width: int
    height: int
    #: 8-bit grey, nothing in the file but its pixels
    png: bytes

    @property
    def name(self) -> DrawingName:
        return DrawingName(kind=self.kind, sha256=self.sha256)
