"""Text on pictures, as wide and as long as there is room; what a font can draw is for ``ncl_model.lettering``."""

from __future__ import annotations

from ncl_model.lettering import Font, drawable, font, width
from nclscreen.visible_text import shorten_middle

__all__ = ["Font", "drawable", "fitted", "font", "width", "wrapped"]


def fitted(text: str, face: Font, room: float) -> str:
    """The text, shortened in its middle until it is at most `room` pixels wide."""
    text = shorten_middle(text, 1000)  # a bound on the work, far beyond any picture's width
    while len(text) > 3 and width(text, face) > room:
        keep = int(len(text) * room / width(text, face))
        text = shorten_middle(text.replace("…", "", 1), max(3, min(keep, len(text) - 1)))
    return text


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
