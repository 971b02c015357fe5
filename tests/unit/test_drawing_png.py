"""What is kept of a drawing, and what is refused before it is decoded."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from support.drawings import box_mask, png_of, two_strokes, values_of

from jobs.domain.drawings import DrawingKind
from jobs.reviews.drawing_png import LONGEST_SIDE, MOST_BYTES, read_drawing, read_labels, tampered_in
from jobs.reviews.errors import InvalidDrawing
from nclscreen.pictures import coloured_drawing

MASK, SCRIBBLES = DrawingKind.MASK, DrawingKind.SCRIBBLES


@pytest.mark.parametrize(
    ("photograph", "drawn"),
    [((640, 480), (640, 480)), ((640, 480), (320, 240)), ((480, 640), (1536, 2048)), ((1001, 667), (500, 333)),
     ((5000, 20), (2048, 8)), ((9, 9), (2, 2))],
)  # fmt: skip
def test_a_mask_of_the_photographs_shape_is_kept(photograph: tuple[int, int], drawn: tuple[int, int]) -> None:
    labels = box_mask(*drawn)
    kept = read_drawing(MASK, png_of(labels), photograph)
    assert (kept.kind, kept.width, kept.height) == (MASK, *drawn)
    assert (values_of(kept.png) == labels).all()


@pytest.mark.parametrize(
    ("photograph", "drawn"),
    [((640, 480), (480, 640)), ((640, 480), (640, 640)), ((640, 480), (640, 477)), ((30, 99), (31, 50))],
)
def test_another_shape_is_refused(photograph: tuple[int, int], drawn: tuple[int, int]) -> None:
    with pytest.raises(InvalidDrawing, match="not the shape of the photograph"):
        read_drawing(MASK, png_of(box_mask(*drawn)), photograph)


def test_the_same_pixels_are_the_same_drawing_whatever_else_the_file_says() -> None:
    labels = two_strokes(64, 48)
    told = PngImagePlugin.PngInfo()
    told.add_text("Author", "somebody's name")
    one = read_drawing(SCRIBBLES, png_of(labels, compress_level=0), (64, 48))
    other = read_drawing(SCRIBBLES, png_of(labels, pnginfo=told), (64, 48))
    assert one == other
    assert b"somebody" not in other.png


def header(width: int, height: int, depth: int = 8, colour: int = 0) -> bytes:
    """A PNG that says so, and has no pixels."""
    fields = b"IHDR" + struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + fields + struct.pack(">I", zlib.crc32(fields))


def saved(image: Image.Image, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


GREY = Image.fromarray(box_mask(64, 48))


@pytest.mark.parametrize(
    ("kind", "png", "words"),
    [
        (MASK, b"", "no PNG file"),
        (MASK, saved(GREY, "BMP"), "no PNG file"),
        (MASK, saved(GREY.convert("1")), "8-bit grey"),
        (MASK, saved(GREY.convert("RGB")), "8-bit grey"),
        (MASK, saved(GREY.convert("LA")), "8-bit grey"),
        (MASK, saved(GREY.convert("P")), "8-bit grey"),
        (MASK, png_of(box_mask(64, 48))[:-40], "cannot be decoded"),
        (MASK, header(64, 48), "its header is damaged"),
        (MASK, header(LONGEST_SIDE + 1, 1), "the longest side may have 2048"),
        (MASK, header(2**31 - 1, 2**31 - 1), "the longest side may have 2048"),
        (MASK, header(0, 0), "its header is damaged"),
        (MASK, b"\x89PNG\r\n\x1a\n" + bytes(MOST_BYTES), "1,000,000 are the most"),
        (MASK, png_of(two_strokes(64, 48)), "pixels of a mask are 0, 255"),
        (SCRIBBLES, png_of(np.full((48, 64), 127, np.uint8)), "pixels of scribbles are 0, 128, 255"),
        (MASK, png_of(np.zeros((48, 64), np.uint8)), "no pixel is drawn"),
        (SCRIBBLES, png_of(np.zeros((48, 64), np.uint8)), "no pixel is drawn"),
    ],
)
def test_what_is_no_drawing_is_refused_in_words(kind: DrawingKind, png: bytes, words: str) -> None:
    with pytest.raises(InvalidDrawing, match=words):
        read_drawing(kind, png, (64, 48))


def test_a_mask_is_enlarged_to_its_photograph() -> None:
    found = tampered_in(read_labels(png_of(box_mask(32, 24))), (640, 480))
    assert found.shape == (480, 640)
    assert found[:230, :310].all()
    assert not found[250:].any()
    assert not found[:, 330:].any()
    assert (tampered_in(box_mask(32, 24), (32, 24)) == (box_mask(32, 24) == 255)).all()


def test_colours_are_seen_through_but_for_their_edges() -> None:
    shown = np.asarray(coloured_drawing(two_strokes(64, 48)))
    assert shown[0].max() == 0
    assert (shown[12, :, :3] == shown[12, 0, :3]).all()
    assert (shown[12, 0, :3] != shown[24, 0, :3]).any()
    box = np.asarray(coloured_drawing(box_mask(64, 48)))
    assert 0 < box[10, 10, 3] < box[23, 10, 3] == 255
