"""Signals: what files say of themselves, and that no file makes reading it fail."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from jobs.signals import read_signals
from jobs.signals.metadata import find_metadata
from ncl_model.imaging.decoding import DecodedImage
from nclscreen.signal_text import signal_sentences

XMP = b"http://ns.adobe.com/xap/1.0/\x00"


def photo(seed: int = 1, size: tuple[int, int] = (320, 240)) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)


def decoded(image: Image.Image) -> DecodedImage:
    pixels = np.asarray(image.convert("RGB"))
    height, width = pixels.shape[:2]
    return DecodedImage(pixels=pixels, valid_height=height, valid_width=width, width=width, height=height)


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def jpeg(image: Image.Image, *segments: bytes) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90)
    data = stream.getvalue()
    return data[:2] + b"".join(segments) + data[2:]


def exif(thumbnail: bytes = b"", **tags: Any) -> bytes:
    """An APP1 segment; `thumbnail`: a JPEG for IFD1."""
    made = Image.Exif()
    for name, value in tags.items():
        if name in ("taken", "digitised"):
            made.get_ifd(0x8769)[{"taken": 0x9003, "digitised": 0x9004}[name]] = value
        else:
            made[{"software": 0x0131, "changed": 0x0132, "orientation": 0x0112}[name]] = value
    block = bytearray(made.tobytes()[6:])
    if thumbnail:
        order = "<" if block[:2] == b"II" else ">"
        (first,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, first)
        struct.pack_into(f"{order}I", block, first + 2 + 12 * count, len(block))
        at = len(block) + 2 + 24 + 4
        block += struct.pack(f"{order}H", 2)
        for tag, value in ((0x0201, at), (0x0202, len(thumbnail))):
            block += struct.pack(f"{order}HHII", tag, 4, 1, value)
        block += struct.pack(f"{order}I", 0) + thumbnail
    return segment(0xE1, b"Exif\x00\x00" + bytes(block))


def signals(data: bytes, image: Image.Image | None = None) -> dict[str, Any] | None:
    return read_signals(data, decoded(image or photo()))


def test_a_plain_file_says_nothing() -> None:
    assert signals(jpeg(photo())) is None
    assert signals(jpeg(photo(), exif(software="HDR+ 1.0.3", taken="2026:05:17 10:00:00"))) is None


@pytest.mark.parametrize("program", ["Adobe Photoshop 24.1", "GIMP 2.10", "paint.net 5", "Snapseed 2.0", "DALL-E 3"])
def test_programs_that_edit_are_named(program: str) -> None:
    assert signals(jpeg(photo(), exif(software=program))) == {"software": program}


def test_xmp_tells_program_and_edits() -> None:
    packet = (
        b'<x xmp:CreatorTool="Adobe Photoshop &amp; co"><stEvt:action>saved</stEvt:action>'
        b'<li stEvt:action="converted"/><li stEvt:action="created"/></x>'
    )
    found = signals(jpeg(photo(), segment(0xE1, XMP + packet)))
    assert found == {"software": "Adobe Photoshop & co", "history": 2}


def test_dates_out_of_order() -> None:
    def with_dates(changed: str) -> dict[str, Any] | None:
        return signals(jpeg(photo(), exif(taken="2026:05:17 10:00:00", changed=changed)))

    assert with_dates("2026:05:17 10:01:00") is None
    assert with_dates("2026:05:19 10:00:00") == {"dates": "changed 2 days, 0:00:00 after it was taken"}
    assert with_dates("2026:05:17 09:00:00") == {"dates": "changed 1:00:00 before it was taken"}
    assert with_dates("yesterday") is None


def test_a_thumbnail_of_the_picture_is_no_signal_and_one_of_another_is() -> None:
    def said(thumb: Image.Image, image: Image.Image, orientation: int = 1) -> dict[str, Any] | None:
        return signals(jpeg(image, exif(jpeg(thumb), orientation=orientation)), image)

    image = photo(1)
    assert said(image.resize((160, 120)), image) is None
    other = said(photo(2).resize((160, 120)), image)
    assert other is not None
    assert other["thumbnail"] < 0.9
    patched = image.copy()
    patched.paste(photo(5, (160, 160)), (80, 40))
    assert said(image.resize((160, 120)), patched) is not None, "a third of it is another"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_thumbnails_are_turned_as_the_picture_is(orientation: int) -> None:
    from PIL import ImageOps

    stored = photo(3)
    tagged = Image.open(io.BytesIO(jpeg(stored, exif(orientation=orientation))))
    upright = ImageOps.exif_transpose(tagged)
    data = jpeg(stored, exif(jpeg(stored.resize((160, 120))), orientation=orientation))
    assert read_signals(data, decoded(upright)) is None


def test_black_bars_around_a_thumbnail_are_no_edit() -> None:
    image = photo(4, (480, 270))
    thumb = Image.new("L", (160, 120))
    thumb.paste(image.resize((160, 90)).convert("L"), (0, 15))
    assert signals(jpeg(image, exif(jpeg(thumb))), image) is None


def test_c2pa_is_seen_and_not_believed() -> None:
    assert signals(jpeg(photo(), segment(0xEB, b"JP\x00\x01\x00\x00\x00\x01jumbc2pa.manifest"))) == {"c2pa": True}


def test_png_and_webp_say_the_same() -> None:
    tags = Image.Exif()
    tags[0x0131] = "GIMP 2.10"
    for kind in ("PNG", "WEBP"):
        stream = io.BytesIO()
        photo().save(stream, kind, exif=tags.tobytes(), **({"lossless": True} if kind == "WEBP" else {}))
        assert signals(stream.getvalue()) == {"software": "GIMP 2.10"}, kind


def test_large_thumbnails_are_not_decoded() -> None:
    def said(side: int) -> dict[str, Any] | None:
        stream = io.BytesIO()
        photo(2, (side, side * 3 // 4)).save(stream, "JPEG", quality=20)
        return signals(jpeg(photo(1), exif(stream.getvalue())))

    assert said(320) is not None
    assert said(1200) is None


def test_signals_are_told_in_words() -> None:
    said = {"software": "GIMP\x1b", "history": 2, "thumbnail": 0.3, "c2pa": True, "of a later version": 1}
    words = signal_sentences(said)
    assert words[0].startswith("the file says: written by GIMP")
    assert "\x1b" not in words[0]
    assert len(words) == 4
    assert signal_sentences(None) == ()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_nothing_that_is_in_a_file_makes_it_raise(data: st.DataObject) -> None:
    block = exif(jpeg(photo(2, (80, 60))), software="GIMP", changed="2026:05:17 10:00:00")
    whole = bytearray(jpeg(photo(), block, segment(0xE1, XMP)))
    head = len(whole) - len(jpeg(photo()))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, head + 40))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    for each in (bytes(whole), bytes(whole[:cut])):
        found = signals(each)
        assert found is None or set(found) <= {"software", "history", "dates", "thumbnail", "c2pa"}


@given(st.binary(max_size=200), st.sampled_from([b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"RIFF\x00\x00\x00\x00WEBP", b""]))
def test_noise_has_no_metadata_worth_a_crash(noise: bytes, begin: bytes) -> None:
    find_metadata(begin + noise)
