"""The figure sheet of a set: best, median and worst cases as photograph, mask and map. Pillow alone.

Maps are drawn on the fixed scale from 0 to 1, never stretched to their own maximum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ncl_model.evaluation.colours import coloured, scale_colours
from ncl_model.evaluation.lettering import drawable, fitted, font
from ncl_model.evaluation.records import ImageRecord

PAPER, INK, QUIET_INK, FRAME = (250, 250, 248), (28, 30, 34), (96, 100, 108), (205, 205, 202)
_MASK_GROUND, _MASK = (38, 40, 44), (255, 255, 255)

#: cases in each column
ROWS = 3
#: the box a picture is fitted into, and the space between boxes, in pixels
_BOX = (208, 156)
_GAP = 8
_MARGIN = 28
_CAPTION = 40
_COLUMN = 3 * _BOX[0] + 2 * _GAP


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """What is drawn of one case."""

    #: (H, W, 3) uint8 RGB
    photo: NDArray[np.uint8]
    #: (H, W) bool; None = authentic
    mask: NDArray[np.bool_] | None
    #: (h, w) probabilities in [0, 1]
    probabilities: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Column:
    """Cases under one head."""

    head: str
    records: Sequence[ImageRecord]


def chosen_cases(records: Sequence[ImageRecord], rows: int = ROWS) -> list[list[Column]]:
    """Bands of three columns: tampered images by F1, those without a mask by score, authentic ones by score.

    A band without images is left out. With fewer images than places, the columns share them: no image is shown twice.
    """
    read = [r for r in records if r.problem is None]
    tampered = sorted((r for r in read if r.f1 == r.f1), key=lambda r: (-r.f1, r.name))
    unmasked = sorted((r for r in read if r.label and math.isnan(r.f1)), key=lambda r: (-r.score, r.name))
    authentic = sorted((r for r in read if not r.label), key=lambda r: (-r.score, r.name))
    bands = []
    for ordered, heads in (
        (tampered, ("best: highest F1", "median F1", "worst: lowest F1")),
        (unmasked, ("tampered, no mask: highest score", "no mask: median score", "no mask: lowest score")),
        (authentic, ("authentic, highest score", "authentic, median score", "authentic, lowest score")),
    ):
        if ordered:
            parts = _ends_and_middle(ordered, rows)
            bands.append([Column(head=head, records=part) for head, part in zip(heads, parts, strict=True)])
    return bands


def draw_sheet(
    title: str, subtitle: str, bands: Sequence[Sequence[Column]], panel_of: Callable[[ImageRecord], Panel]
) -> Image.Image:
    """The sheet as RGB; ``panel_of`` is asked for one case after the other, so only one is in memory."""
    heights = [52 + max(len(column.records) for column in band) * (_CAPTION + _BOX[1] + 14) for band in bands]
    width = 2 * _MARGIN + 3 * _COLUMN + 2 * _MARGIN
    sheet = Image.new("RGB", (width, _MARGIN + 76 + sum(heights) + 76), PAPER)
    draw = ImageDraw.Draw(sheet)
    _write(draw, (_MARGIN, _MARGIN), title, 26, INK, width - 2 * _MARGIN)
    _write(draw, (_MARGIN, _MARGIN + 38), subtitle, 17, QUIET_INK, width - 2 * _MARGIN)
    top = _MARGIN + 76
    for band, height in zip(bands, heights, strict=True):
        for place, column in enumerate(band):
            left = _MARGIN + place * (_COLUMN + _MARGIN)
            _write(draw, (left, top + 10), column.head, 19, INK, _COLUMN)
            for row, record in enumerate(column.records):
                at = (left, top + 52 + row * (_CAPTION + _BOX[1] + 14))
                _draw_case(sheet, draw, at, record, panel_of(record))
        top += height
    _draw_legend(sheet, draw, (_MARGIN, top + 8))
    return sheet


def _draw_case(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, at: tuple[int, int], record: ImageRecord, panel: Panel
) -> None:
    left, top = at
    figures = f"F1 {record.f1:.2f}   AUC {record.auc:.2f}   " if record.f1 == record.f1 else ""
    _write(draw, (left, top), record.name, 13, INK, _COLUMN)
    _write(draw, (left, top + 18), f"{figures}score {record.score:.3f}", 13, QUIET_INK, _COLUMN)
    pictures = (panel.photo, _mask_picture(panel), coloured(panel.probabilities))
    for place, pixels in enumerate(pictures):
        _paste(sheet, (left + place * (_BOX[0] + _GAP), top + _CAPTION), pixels)


def _mask_picture(panel: Panel) -> NDArray[np.uint8]:
    mask = np.zeros(panel.photo.shape[:2], np.bool_) if panel.mask is None else panel.mask
    return np.where(mask[..., None], np.array(_MASK, np.uint8), np.array(_MASK_GROUND, np.uint8))


def _paste(sheet: Image.Image, at: tuple[int, int], pixels: NDArray[np.uint8]) -> None:
    """Fitted into the box, aspect kept, centred, with a thin frame round the picture itself."""
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    scale = min(_BOX[0] / picture.width, _BOX[1] / picture.height)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    picture = picture.resize(size, Image.Resampling.BILINEAR)
    left, top = at[0] + (_BOX[0] - size[0]) // 2, at[1] + (_BOX[1] - size[1]) // 2
    sheet.paste(picture, (left, top))
    ImageDraw.Draw(sheet).rectangle((left - 1, top - 1, left + size[0], top + size[1]), outline=FRAME)


def _draw_legend(sheet: Image.Image, draw: ImageDraw.ImageDraw, at: tuple[int, int]) -> None:
    left, top = at
    words = "left: photograph   middle: mask, white = tampered   right: map, probability of tampering from 0 to 1"
    _write(draw, (left, top), words, 15, QUIET_INK, 3 * _COLUMN)
    bar = Image.fromarray(scale_colours(360)[None].repeat(14, axis=0))
    sheet.paste(bar, (left, top + 26))
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        _write(draw, (left + round(tick * 359) - (4 if tick else 0), top + 42), f"{tick:g}", 13, QUIET_INK, 40)


def _ends_and_middle(ordered: Sequence[ImageRecord], rows: int) -> list[Sequence[ImageRecord]]:
    """First, middle and last ``rows`` of a sequence, without overlap."""
    rows = min(rows, max(1, len(ordered) // 3))
    start = max(rows, (len(ordered) - rows) // 2)
    end = max(start + rows, len(ordered) - rows)
    return [ordered[:rows], ordered[start : start + rows], ordered[end:]]


def _write(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, size: int, ink: tuple[int, int, int], room: int
) -> None:
    face = font(size)
    draw.text(at, fitted(drawable(text, face), face, room), font=face, fill=ink)
