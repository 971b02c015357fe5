"""What people draw on photographs: checked before it is kept, and shown."""

from __future__ import annotations

import base64
import binascii
import io
from dataclasses import dataclass
from typing import Self

from jobs.domain.drawings import Drawing, DrawingKind
from jobs.reviews.drawing_png import read_drawing, read_labels
from jobs.reviews.errors import InvalidDrawing
from jobs.verdicts import FoundVerdict
from nclscreen.pictures import coloured_drawing
from nclscreen.services.errors import InvalidRequest


@dataclass(frozen=True, kw_only=True, slots=True)
class NewDrawing:
    """A drawing as it comes from outside."""

    kind: DrawingKind
    #: whatever was sent as a PNG
    png: bytes

    @classmethod
    def from_base64(cls, kind: DrawingKind, text: str) -> Self:
        """Raises InvalidRequest."""
        try:
            return cls(kind=kind, png=base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError) as error:
            raise InvalidRequest("drawing", f"its PNG is not in base64 ({error})") from None


def checked_drawing(found: FoundVerdict, drawn: NewDrawing) -> Drawing:
    """What may be kept for this photograph. Raises InvalidRequest."""
    width, height = found.verdict.width, found.verdict.height
    if width is None or height is None:
        raise InvalidRequest("drawing", "the photograph has no score, so nobody knows its size")
    try:
        return read_drawing(drawn.kind, drawn.png, (width, height))
    except InvalidDrawing as error:
        raise InvalidRequest("drawing", error.reason) from error


def coloured_png(drawing: Drawing) -> bytes:
    """To be laid over the photograph: tampered and authentic pixels in two colours, the others clear."""
    buffer = io.BytesIO()
    coloured_drawing(read_labels(drawing.png)).save(buffer, "PNG")
    return buffer.getvalue()
