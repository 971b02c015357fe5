"""Training curves as a picture: losses, learning rate and validation over the samples seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

#: pixels
_WIDTH, _PANEL, _LEFT, _RIGHT, _TOP, _BOTTOM = 1000, 260, 86, 20, 44, 46
_FONT_SIZE = 15
_INK, _FAINT, _PAPER = (40, 40, 40), (222, 222, 222), (255, 255, 255)
#: told apart also without colour vision (Okabe and Ito)
_COLOURS = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167))

Rows = Sequence[Mapping[str, float]]
_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, kw_only=True)
class _Panel:
    title: str
    #: (column of the metrics, name in the legend)
    lines: tuple[tuple[str, str], ...]
    #: limits of the vertical axis; None: as the values are
    limits: tuple[float, float] | None = None
    #: marks at the points, where there are few
    dots: bool = False


_PANELS = (
    _Panel(
        title="training loss",
        lines=(
            ("loss", "total"),
            ("pivot_consistent", "pivot-consistent"),
            ("image", "image head"),
        ),
    ),
    _Panel(title="contrast (L_NCL before omega)", lines=(("contrast", "contrast"),)),
    _Panel(title="learning rate", lines=(("learning_rate", "learning rate"),)),
    _Panel(
        title="validation (held-out groups)",
        lines=(("pixel_f1", "pixel F1 at 0.5"), ("pixel_auc", "pixel AUC"), ("image_auc", "image AUC")),
        limits=(0.0, 1.0),
        dots=True,
    ),
)


def draw_curves(rows: Rows) -> Image.Image:
    """The picture of some rows of metrics: one panel above the other, samples from left to right.

    A column without any value, or of zeros alone, has no line. RGB, 1000 pixels wide.
    """
    picture = Image.new("RGB", (_WIDTH, _PANEL * len(_PANELS)), _PAPER)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(_FONT_SIZE)
    last = max([row["samples"] for row in rows if "samples" in row], default=1.0)
    for number, panel in enumerate(_PANELS):
        _draw_panel(draw, font, panel, rows, last, number * _PANEL)
    return picture


def _draw_panel(draw: ImageDraw.ImageDraw, font: _Font, panel: _Panel, rows: Rows, last: float, top: int) -> None:
    lines = [(label, points) for column, label in panel.lines if (points := _points(rows, column))]
    low, high = panel.limits or _limits([y for _, points in lines for _, y in points])
    upper, lower = top + _TOP, top + _PANEL - _BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        across = _LEFT + (_WIDTH - _LEFT - _RIGHT) * x / max(last, 1e-9)
        return across, lower - (lower - upper) * (min(max(y, low), high) - low) / (high - low)

    for value in _ticks(low, high):
        _, y = place(0, value)
        draw.line((_LEFT, y, _WIDTH - _RIGHT, y), fill=_FAINT)
        draw.text((_LEFT - 8, y), f"{value:.3g}", fill=_INK, font=font, anchor="rm")
    for value in _ticks(0, last):
        x, _ = place(value, low)
        draw.line((x, lower, x, lower + 4), fill=_INK)
        draw.text((x, lower + 7), _short(value), fill=_INK, font=font, anchor="mt")
    draw.line((_LEFT, upper, _LEFT, lower, _WIDTH - _RIGHT, lower), fill=_INK)
    draw.text((_LEFT, top + 14), panel.title, fill=_INK, font=font, anchor="lt")
    draw.text((_WIDTH - _RIGHT, top + _PANEL - 4), "samples", fill=_INK, font=font, anchor="rb")
    if not lines:
        draw.text((_WIDTH / 2, (upper + lower) / 2), "nothing yet", fill=_INK, font=font, anchor="mm")
    _draw_lines(draw, font, lines, place, dots=panel.dots, y=top + 14)


def _draw_lines(
    draw: ImageDraw.ImageDraw,
    font: _Font,
    lines: list[tuple[str, list[tuple[float, float]]]],
    place: Callable[[float, float], tuple[float, float]],
    *,
    dots: bool,
    y: int,
) -> None:
    x = float(_WIDTH - _RIGHT)
    for (label, points), colour in reversed(list(zip(lines, _COLOURS, strict=False))):
        placed = [place(*point) for point in points]
        draw.line(placed, fill=colour, width=2)
        if dots or len(placed) == 1:
            for a, b in placed:
                draw.ellipse((a - 3, b - 3, a + 3, b + 3), fill=colour)
        # the legend, from the right
        draw.text((x, y), label, fill=_INK, font=font, anchor="rt")
        x -= draw.textlength(label, font=font) + 8
        draw.line((x - 18, y + 7, x, y + 7), fill=colour, width=3)
        x -= 40


def _points(rows: Rows, column: str) -> list[tuple[float, float]]:
    points = [(row["samples"], row[column]) for row in rows if column in row and "samples" in row]
    points = [(x, y) for x, y in points if math.isfinite(y)]
    return points if any(y for _, y in points) else []


def _limits(values: list[float]) -> tuple[float, float]:
    if not values:
        return 0.0, 1.0
    low, high = min(0.0, *values), max(values)
    # one wild value at the start must not flatten all others: the top is what 98 % stay below
    high = sorted(values)[min(len(values) - 1, int(0.98 * len(values)))] if len(values) > 50 else high
    return low, high if high > low else low + 1.0


def _ticks(low: float, high: float) -> list[float]:
    """About five round values from low to high."""
    raw = (high - low) / 5
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * m for m in (1, 2, 5, 10) if size * m >= raw)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _short(value: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"
