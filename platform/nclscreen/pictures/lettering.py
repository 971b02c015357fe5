"""Text on pictures: a font of this machine if there is a good one, and no character that it cannot draw."""

from __future__ import annotations

from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from nclscreen.visible_text import shorten_middle

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
#: fonts with many scripts, looked for in the system's font folders
_WANTED = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial Unicode.ttf", "Arial.ttf")
#: a noncharacter: no font has it, so it is drawn as the font's "missing" box
_MISSING = "\uffff"
_ROUGH = ImageDraw.Draw(Image.new("L", (1, 1)))


@lru_cache(maxsize=16)
def font(size: int) -> Font:
    """The best font at hand, `size` pixels high. Pillow's own has little more than ASCII."""
    for name in _WANTED:
        try:
            return ImageFont.truetype(name, size, layout_engine=ImageFont.Layout.BASIC)
        except OSError:
            continue
    return ImageFont.load_default(size)


def drawable(text: str, face: Font) -> str:
    """The text with every character the font lacks written as an escape such as ``\\u6587``."""
    return "".join(char if _has(face, char) else char.encode("ascii", "backslashreplace").decode() for char in text)


@lru_cache(maxsize=4096)
def _has(face: Font, char: str) -> bool:
    if " " <= char <= "~":
        return True
    box, missing = face.getmask(char), face.getmask(_MISSING)
    return box.size != missing.size or bytes(box) != bytes(missing)


def width(text: str, face: Font) -> float:
    """Pixels from the left to the right end of the text."""
    return _ROUGH.textlength(text, font=face)


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
