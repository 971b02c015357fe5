"""Photograph and overlay side by side, with a caption and the legend of the colour scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ncl_model.copy_move import CopiedPair
from nclscreen.pictures.colours import LEGEND_TITLE, TICKS, colour_table
from nclscreen.pictures.copies import draw_copies
from nclscreen.pictures.lettering import drawable, fitted, font, width, wrapped
from nclscreen.pictures.overlay import overlay
from nclscreen.visible_text import visible_text

_PAPER = (250, 250, 248)
_INK = (28, 30, 34)
_QUIET_INK = (96, 100, 108)
#: grey under the legend's clear end, so that "clear" can be seen
_LEGEND_GROUND = (150, 150, 150)
#: halves smaller than this are enlarged, longer ones made smaller (pixels of the longest side)
_SMALLEST, _LONGEST = 320, 1600
_LEAST_WIDTH = 760


def comparison(
    photo: Image.Image, heatmap: NDArray[np.uint8], lines: Sequence[str] = (), copies: Sequence[CopiedPair] = ()
) -> Image.Image:
    """One RGB picture: `lines` (the first is the name) above, photograph left, overlay right, legend below.

    `photo` is RGB, `heatmap` (h, w) uint8 with 255 = probability 1. Lines may hold any text; the name is shortened in
    the middle where it is too long, the others are wrapped. `copies` are drawn on the overlay as boxes and lines.
    """
    photo = _bounded(photo)
    gap = max(16, photo.width // 40)
    inner = max(_LEAST_WIDTH, 2 * photo.width + gap)
    text_size = max(15, min(30, inner // 60))
    caption = _caption(lines, inner, text_size)
    legend = _legend(min(inner, 30 * text_size), text_size)
    sheet = Image.new("RGB", (inner + 2 * gap, caption.height + photo.height + legend.height + 4 * gap), _PAPER)
    left, top = gap + (inner - 2 * photo.width - gap) // 2, caption.height + 2 * gap
    sheet.paste(caption, (gap, gap))
    sheet.paste(photo, (left, top))
    sheet.paste(draw_copies(overlay(photo, heatmap), copies), (left + photo.width + gap, top))
    sheet.paste(legend, (gap + inner - legend.width, top + photo.height + gap))
    return sheet


def _bounded(photo: Image.Image) -> Image.Image:
    longest = max(photo.size)
    wanted = min(max(longest, _SMALLEST), _LONGEST)
    if wanted == longest:
        return photo.convert("RGB")
    size = tuple(max(1, round(side * wanted / longest)) for side in photo.size)
    return photo.convert("RGB").resize((size[0], size[1]), Image.Resampling.BILINEAR)


def _caption(lines: Sequence[str], room: int, text_size: int) -> Image.Image:
    """The first line larger, the others in quieter ink."""
    name_font, font_below = font(round(text_size * 1.25)), font(text_size)
    name = [fitted(drawable(visible_text(line), name_font), name_font, room) for line in lines[:1]]
    below = [
        piece for line in lines[1:] for piece in wrapped(drawable(visible_text(line), font_below), font_below, room)
    ]
    name_step, step = round(text_size * 1.9), round(text_size * 1.5)
    picture = Image.new("RGB", (room, max(1, name_step * len(name) + step * len(below))), _PAPER)
    draw = ImageDraw.Draw(picture)
    for text in name:
        draw.text((0, 0), text, font=name_font, fill=_INK)
    for row, text in enumerate(below):
        draw.text((0, name_step * len(name) + row * step), text, font=font_below, fill=_QUIET_INK)
    return picture


def _legend(room: int, text_size: int) -> Image.Image:
    """The bar from 0 to 1 in the overlay's own colours, its ticks, and what it means."""
    face = font(text_size)
    margin = round(width("0.00", face) / 2) + 2
    bar_width, bar_height = room - 2 * margin, text_size
    title_height = round(text_size * 1.5)
    picture = Image.new("RGB", (room, title_height + bar_height + round(text_size * 1.9)), _PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((margin, 0), LEGEND_TITLE, font=face, fill=_INK)
    picture.paste(_bar(bar_width, bar_height), (margin, title_height))
    below = title_height + bar_height
    for tick in TICKS:
        x = margin + round(tick * (bar_width - 1))
        draw.line([(x, below), (x, below + text_size // 3)], fill=_QUIET_INK, width=1)
        label = f"{tick:g}"
        draw.text((x - width(label, face) / 2, below + text_size // 2), label, font=face, fill=_QUIET_INK)
    return picture


def _bar(bar_width: int, bar_height: int) -> Image.Image:
    values = np.rint(np.linspace(0, 255, bar_width)).astype(np.uint8)
    colours = Image.fromarray(np.repeat(colour_table()[values][np.newaxis], bar_height, axis=0))
    ground = Image.new("RGBA", colours.size, (*_LEGEND_GROUND, 255))
    return Image.alpha_composite(ground, colours).convert("RGB")
