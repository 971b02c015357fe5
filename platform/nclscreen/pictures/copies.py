"""Copied regions drawn on a photograph: a box around each end, lines between what was matched."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from ncl_model.copy_move import CopiedPair

#: one colour a pair, in turn; bright on a dark edge, so that they show on any photograph
_COLOURS = ((0, 214, 255), (255, 92, 200), (160, 255, 60), (255, 176, 0))
_EDGE = (0, 0, 0)
#: the width of a line as a share of the long side, and its least pixels
_WIDTH_SHARE, _LEAST_WIDTH = 1 / 400, 2


def draw_copies(photo: Image.Image, pairs: Sequence[CopiedPair]) -> Image.Image:
    """A copy of the photograph (RGB, any size) with the pairs on it, the first, the surest, on top.

    Both ends of a pair have one colour: which of them is the copy is not known.
    """
    drawn = photo.convert("RGB")
    draw = ImageDraw.Draw(drawn)
    for number, pair in reversed(list(enumerate(pairs))):
        colour = _COLOURS[number % len(_COLOURS)]
        width = max(_LEAST_WIDTH, round(max(photo.size) * _WIDTH_SHARE))
        _draw_pair(draw, pair, photo.size, _EDGE, width + 2)
        _draw_pair(draw, pair, photo.size, colour, width)
    return drawn


def _draw_pair(
    draw: ImageDraw.ImageDraw, pair: CopiedPair, size: tuple[int, int], colour: tuple[int, int, int], width: int
) -> None:
    for line in pair.lines:
        draw.line(_pixels(line, size), fill=colour, width=width)
    for box in (pair.first, pair.second):
        draw.rectangle(_pixels(box, size), outline=colour, width=width)


def _pixels(fractions: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Within the picture, so that a box at the border stays visible."""
    right, bottom = size[0] - 1, size[1] - 1
    x, y, other_x, other_y = fractions
    return x * right, y * bottom, other_x * right, other_y * bottom
