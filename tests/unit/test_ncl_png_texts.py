"""A PNG with a long text in it is a photograph like any other; its text costs no memory."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.odd_images import encoded, photo
from support.photo_bytes import FIT

from ncl_model.errors import ImageUnreadable
from ncl_model.imaging.decoding import decode_image, image_format
from ncl_model.imaging.png_texts import without_long_texts

PNG = encoded(photo(), "PNG")
LONG = b"A" * 3_000_000


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunks(*chunks: bytes, png: bytes = PNG, at_the_end: bool = False) -> bytes:
    """Behind the header, or behind the pixels."""
    cut = len(png) - 12 if at_the_end else 33
    return png[:cut] + b"".join(chunks) + png[cut:]


CHUNKS = {
    "zTXt": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(LONG)),
    "iTXt": chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(LONG)),
    "iTXt plain": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + LONG),
    "tEXt": chunk(b"tEXt", b"Comment\0" + LONG) * 30,  # more than 64 MB in all
    "iCCP": chunk(b"iCCP", b"profile\0\0" + zlib.compress(LONG)),
}


@pytest.mark.parametrize("kind", CHUNKS)
@pytest.mark.parametrize("at_the_end", [False, True])
def test_a_long_text_makes_no_photograph_corrupt(kind: str, at_the_end: bool) -> None:
    data = with_chunks(CHUNKS[kind], at_the_end=at_the_end)
    assert np.array_equal(decode_image(data, config=FIT).pixels, decode_image(PNG, config=FIT).pixels)
    assert image_format(data) == "PNG"


def test_short_texts_stay_so_does_the_orientation_in_one() -> None:
    profile = (
        b"\nexif\n      34\n"
        + (b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0").hex().encode()
    )
    turned = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile))
    data = with_chunks(turned, CHUNKS["zTXt"], chunk(b"tEXt", b"Author\0somebody"))
    kept = without_long_texts(data)
    assert kept == with_chunks(turned, chunk(b"tEXt", b"Author\0somebody"))
    assert decode_image(data, config=FIT).width == photo().height
    assert without_long_texts(kept) is kept


def test_a_text_that_unpacks_to_gigabytes_takes_no_memory() -> None:
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(b"\0" * 1_000_000) for _ in range(500)) + packer.flush()
    data = with_chunks(chunk(b"zTXt", b"Comment\0\0" + bomb))
    tracemalloc.start()
    try:
        decode_image(data, config=FIT)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@settings(deadline=None, max_examples=40)
@given(cut=st.integers(0, len(PNG) + 40), junk=st.binary(max_size=30))
def test_whatever_is_cut_off_is_left_to_the_decoder(cut: int, junk: bytes) -> None:
    data = with_chunks(chunk(b"tEXt", b"Author\0somebody"))[:cut] + junk
    assert without_long_texts(data) is data
    with suppress(ImageUnreadable):  # and nothing else
        decode_image(data, config=FIT)
