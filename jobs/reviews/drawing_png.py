"""Drawings as PNG files: read within limits, held against their photograph, kept without anything but their pixels."""

from __future__ import annotations

import hashlib
import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.domain.drawings import AUTHENTIC, TAMPERED, UNKNOWN, Drawing, DrawingKind
from jobs.reviews.errors import InvalidDrawing
from ncl_model.errors import ImageUnreadable
from ncl_model.imaging.decoding import opened_image

#: pixels of a drawing's longest side, and bytes of its file
LONGEST_SIDE = 2048
MOST_BYTES = 1_000_000
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: what a PNG says of its pixels: 8 bits, grey (RFC 2083, 4.1.1)
_EIGHT_BIT_GREY = (8, 0)
_VALUES = {DrawingKind.MASK: (UNKNOWN, TAMPERED), DrawingKind.SCRIBBLES: (UNKNOWN, AUTHENTIC, TAMPERED)}


def read_drawing(kind: DrawingKind, png: bytes, photograph: tuple[int, int]) -> Drawing:
    """A drawing of a photograph of (width, height) pixels, upright; it may have another size, but no other shape.

    Kept are its pixels: texts and other chunks of the file are not. Raises InvalidDrawing.
    """
    labels = read_labels(png)
    height, width = labels.shape
    _check_shape((width, height), photograph)
    if not np.isin(labels, _VALUES[kind]).all():
        allowed = ", ".join(map(str, _VALUES[kind]))
        raise InvalidDrawing(f"pixels of {_named(kind)} are {allowed}; there are others")
    if not labels.any():
        raise InvalidDrawing("no pixel is drawn")
    kept = _encoded(labels)
    return Drawing(kind=kind, sha256=hashlib.sha256(kept).hexdigest(), width=width, height=height, png=kept)


def read_labels(png: bytes) -> NDArray[np.uint8]:
    """(H, W) of an 8-bit grey PNG. Raises InvalidDrawing; what is too large is not decoded."""
    if len(png) > MOST_BYTES:
        raise InvalidDrawing(f"it has {len(png):,} bytes; {MOST_BYTES:,} are the most")
    if not png.startswith(_SIGNATURE) or png[12:16] != b"IHDR" or len(png) < 26:
        raise InvalidDrawing("it is no PNG file")
    width, height, *form = struct.unpack(">IIBB", png[16:26])
    if tuple(form) != _EIGHT_BIT_GREY:
        raise InvalidDrawing("it is no 8-bit grey PNG without transparency")
    if max(width, height) > LONGEST_SIDE:
        raise InvalidDrawing(f"it has {width} x {height} pixels; the longest side may have {LONGEST_SIDE}")
    try:
        with opened_image(png, LONGEST_SIDE**2) as image:
            return np.array(image, dtype=np.uint8)
    except ImageUnreadable as error:
        raise InvalidDrawing(str(error)) from error


def tampered_in(labels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels of a mask, (h, w), that are tampered, at the photograph's (width, height); (H, W) bool."""
    grey = Image.fromarray(np.where(labels == TAMPERED, np.uint8(255), np.uint8(0)))
    if grey.size != size:
        grey = grey.resize(size, Image.Resampling.BILINEAR)
    inside: NDArray[np.bool_] = np.asarray(grey) > 127
    return inside


def known_in(labels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels of scribbles, (h, w), that say something, at the photograph's (width, height); (H, W) bool."""
    grey = Image.fromarray(np.where(labels != UNKNOWN, np.uint8(255), np.uint8(0)))
    known: NDArray[np.bool_] = np.asarray(grey.resize(size, Image.Resampling.NEAREST)) > 127
    return known | tampered_in(labels, size)


def _check_shape(drawn: tuple[int, int], photograph: tuple[int, int]) -> None:
    """The shorter side is what the longer one makes of it, but for rounding."""
    along = int(photograph[1] > photograph[0])
    other = drawn[along] * photograph[1 - along] / photograph[along]
    if abs(drawn[1 - along] - other) > 1:
        of = " x ".join(map(str, photograph))
        raise InvalidDrawing(f"it has {drawn[0]} x {drawn[1]} pixels, which is not the shape of the photograph, {of}")


def _named(kind: DrawingKind) -> str:
    return "a mask" if kind is DrawingKind.MASK else kind.value


def _encoded(labels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(labels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
