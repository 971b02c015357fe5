"""Text on the pictures of an evaluation. Names of files are untrusted: what cannot be drawn is spelled out."""

from __future__ import annotations

from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
#: fonts with many scripts, looked for in the system's font folders; Pillow's own has little more than ASCII
_WANTED = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial Unicode.ttf", "Arial.ttf")
_ROUGH = ImageDraw.Draw(Image.new("L", (1, 1)))
_LONGEST = 400


@lru_cache(maxsize=16)
def font(size: int) -> Font:
    """The best font at hand, ``size`` pixels high."""
    for name in _WANTED:
        try:
            return ImageFont.truetype(name, size, layout_engine=ImageFont.Layout.BASIC)
        except OSError:
            continue
    return ImageFont.load_default(size)


def drawable(text: str, face: Font) -> str:
    """The text on one line; characters that are invisible, or that the font lacks, as escapes such as ``\\u6587``."""
    return "".join(char if _has(face, char) else char.encode("unicode_escape").decode() for char in text)


@lru_cache(maxsize=4096)
def _has(face: Font, char: str) -> bool:
    if " " <= char <= "~":
        return True
    if not char.isprintable():
        return False
    # a noncharacter is drawn as the font's box for "missing"
    box, missing = face.getmask(char), face.getmask("\uffff")
    return box.size != missing.size or bytes(box) != bytes(missing)


def width(text: str, face: Font) -> float:
    """Pixels from the left to the right end of the text."""
    return _ROUGH.textlength(text, font=face)


def fitted(text: str, face: Font, room: float) -> str:
    """The text, shortened in its middle until it is at most ``room`` pixels wide."""
    if len(text) > _LONGEST:  # a bound on the work, far beyond any picture's width
        text = text[: _LONGEST // 2] + text[-_LONGEST // 2 :]
    shown, kept = text, len(text)
    while kept > 1 and width(shown, face) > room:
        kept -= 1
        tail = kept * 3 // 5
        shown = f"{text[: kept - tail]}...{text[len(text) - tail :]}"
    return shown
