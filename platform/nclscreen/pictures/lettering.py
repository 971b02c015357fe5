"""Text on pictures, as wide as there is room; what a font can draw: ``ncl_model.evaluation.lettering``."""

from __future__ import annotations

from ncl_model.evaluation.lettering import Font, drawable, fitted, font, width

__all__ = ["Font", "drawable", "fitted", "font", "width", "wrapped"]


def wrapped(text: str, face: Font, room: float) -> list[str]:
    """The text on lines at most `room` pixels wide, broken at spaces; a word too long is shortened."""
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and width(joined, face) <= room:
            lines[-1] = joined
        else:
            lines.append(fitted(word, face, room))
    return lines
