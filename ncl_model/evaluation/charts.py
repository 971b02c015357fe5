"""A small bar chart of what distortions leave of the figures. Pillow alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

from ncl_model.evaluation.lettering import drawable, fitted, font, width

PAPER, INK, QUIET_INK, GRID = (250, 250, 248), (28, 30, 34), (96, 100, 108), (222, 222, 219)
#: blue, orange, green of Okabe and Ito's palette, told apart with any colour vision
SERIES_COLOURS = ((0, 114, 178), (230, 159, 0), (0, 158, 115))

_BAR, _SPACE, _HEIGHT = 30, 26, 340
_LEFT, _TOP, _RIGHT, _BOTTOM = 64, 104, 28, 52


def bar_chart(
    title: str, subtitle: str, groups: Sequence[str], series: Sequence[tuple[str, Sequence[float]]]
) -> Image.Image:
    """Groups of bars on a fixed scale from 0 to 1, the value above each bar; NaN leaves a gap and says so.

    ``series`` is up to three (name, one value per group); values in [0, 1].
    """
    bars = len(series) * _BAR
    # a long name takes the room it needs
    group_width = max([bars + _SPACE, *(round(width(name, font(13))) + 12 for name in groups)])
    picture_width = max(560, _LEFT + len(groups) * group_width + _RIGHT)
    picture = Image.new("RGB", (picture_width, _TOP + _HEIGHT + _BOTTOM), PAPER)
    draw = ImageDraw.Draw(picture)
    room = picture.width - _LEFT - _RIGHT
    _text(draw, (_LEFT, 16), title, 20, INK, room)
    _text(draw, (_LEFT, 42), subtitle, 14, QUIET_INK, room)
    _legend(draw, [name for name, _ in series])
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _y(tick)
        draw.line([(_LEFT, y), (picture.width - _RIGHT, y)], fill=GRID if tick else INK, width=1)
        label = f"{tick:g}"
        draw.text((_LEFT - 8 - width(label, font(13)), y - 8), label, font=font(13), fill=QUIET_INK)
    for place, name in enumerate(groups):
        left = _LEFT + place * group_width + (group_width - bars) // 2
        for number, (_, values) in enumerate(series):
            _bar(draw, left + number * _BAR, values[place], SERIES_COLOURS[number])
        middle = left + bars / 2
        draw.text((middle - width(name, font(13)) / 2, _y(0) + 10), name, font=font(13), fill=INK)
    return picture


def _bar(draw: ImageDraw.ImageDraw, left: int, value: float, colour: tuple[int, int, int]) -> None:
    known = not math.isnan(value)
    if known:
        draw.rectangle((left + 2, _y(value), left + _BAR - 3, _y(0)), fill=colour)
    label = f"{value:.2f}".removeprefix("0") if known else "-"
    face = font(11)
    top = _y(value if known else 0.0) - 15
    draw.text((left + (_BAR - width(label, face)) / 2, top), label, font=face, fill=INK)


def _legend(draw: ImageDraw.ImageDraw, names: Sequence[str]) -> None:
    left = float(_LEFT)
    for name, colour in zip(names, SERIES_COLOURS, strict=False):
        draw.rectangle((left, 72, left + 12, 84), fill=colour)
        draw.text((left + 18, 69), name, font=font(14), fill=INK)
        left += 18 + width(name, font(14)) + 26


def _y(value: float) -> int:
    return _TOP + round((1 - min(max(value, 0.0), 1.0)) * _HEIGHT)


def _text(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, size: int, ink: tuple[int, int, int], room: float
) -> None:
    face = font(size)
    draw.text(at, fitted(drawable(text, face), face, room), font=face, fill=ink)
