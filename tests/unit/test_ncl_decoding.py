"""Every odd photograph either becomes a canvas or an ImageUnreadable with the right code; nothing else comes out."""

from __future__ import annotations

import struct
import time
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.photo_bytes import FIT, code_of, saved

from ncl_model.architecture.config import NclConfig
from ncl_model.errors import ImageUnreadable
from ncl_model.imaging.canvas import canvas_side, fit_size
from ncl_model.imaging.decoding import decode_image

STRETCH = NclConfig(backbone="resnet18", geometry="stretch", input_size=128)
CODES = {"empty", "unsupported_format", "corrupt", "too_large"}


def noise(height: int = 40, width: int = 60) -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def colour(data: bytes) -> tuple[int, ...]:
    """The first pixel's colour."""
    return tuple(int(v) for v in decode_image(data, config=FIT).pixels[0, 0])


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk


# --- bytes that are no picture ---


def test_no_bytes_are_empty() -> None:
    assert code_of(b"") == "empty"


@pytest.mark.parametrize(
    "data", [b"hello, I am text", b"<svg></svg>", b"%!PS-Adobe-3.0", b"\0" * 500, b"P6 1 1 255 abc"]
)
def test_other_files_are_unsupported(data: bytes) -> None:
    assert code_of(data) == "unsupported_format"


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_cut_off_files_are_corrupt(kind: str, share: float) -> None:
    data = saved(noise(200, 200), kind)
    assert code_of(data[: int(len(data) * share)]) == "corrupt"


def test_an_enormous_png_is_refused_by_its_header() -> None:
    started = time.monotonic()
    assert code_of(png_header(50_000, 50_000)) == "too_large"
    assert time.monotonic() - started < 1.0


def test_the_pixel_limit_is_inclusive() -> None:
    data = saved(noise(40, 60), "PNG")
    assert decode_image(data, config=FIT, max_pixels=2400).width == 60
    assert code_of(data, max_pixels=2399) == "too_large"


def test_between_pillows_limits_max_pixels_decides_and_nothing_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    data = saved(noise(40, 60), "JPEG")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert decode_image(data, config=FIT).height == 40
        assert code_of(data, max_pixels=2200) == "too_large"
    assert not caught


def test_beyond_twice_pillows_limit_is_too_large_whatever_max_pixels_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert code_of(saved(noise(40, 60), "BMP")) == "too_large"


# --- pictures of every kind ---


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    values = np.full((70, 70), 128 * 257, dtype=np.uint16)
    values[0, 0] = 65535
    pixels = decode_image(saved(Image.fromarray(values), "PNG"), config=FIT).pixels
    assert tuple(pixels[0, 0]) == (255, 255, 255)
    assert tuple(pixels[5, 5]) == (128, 128, 128)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.full((8, 8), 200, dtype=np.int32), 200),
        (np.full((8, 8), 257 * 100, dtype=np.int32), 100),
        (np.full((8, 8), 0.5, dtype=np.float32), 128),
        (np.full((8, 8), 90.0, dtype=np.float32), 90),
        (np.full((8, 8), np.nan, dtype=np.float32), 0),
        (np.full((8, 8), -5, dtype=np.int32), 0),
    ],
)
def test_deep_tiffs(values: np.ndarray, expected: int) -> None:
    assert colour(saved(Image.fromarray(values), "TIFF")) == (expected,) * 3


def test_transparency_is_laid_over_white() -> None:
    rgba = Image.new("RGBA", (9, 9), (255, 0, 0, 0))
    assert colour(saved(rgba, "PNG")) == (255, 255, 255)
    assert colour(saved(Image.new("LA", (9, 9), (0, 128)), "PNG")) == (127, 127, 127)
    palette = Image.new("P", (9, 9), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    assert colour(saved(palette, "PNG")) == (10, 20, 30)
    assert colour(saved(palette, "PNG", transparency=1)) == (255, 255, 255)
    assert colour(saved(palette, "PNG", transparency=b"\xff\x00")) == (255, 255, 255)


def test_cmyk_jpegs_keep_their_colours() -> None:
    red = Image.new("RGB", (16, 16), (255, 0, 0)).convert("CMYK")
    r, g, b = colour(saved(red, "JPEG", quality=95))
    assert r > 200
    assert max(g, b) < 60


def test_grey_and_bilevel() -> None:
    assert colour(saved(Image.new("L", (5, 5), 77), "PNG")) == (77, 77, 77)
    assert colour(saved(Image.new("1", (5, 5), 1), "PNG")) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_gives_its_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (32, 32), c) for c in ((255, 0, 0), (0, 255, 0))]
    options = {"lossless": True} if kind == "WEBP" else {}
    assert colour(saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)) == (255, 0, 0)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "MPO"])
def test_every_format_opens(kind: str) -> None:
    image = decode_image(saved(noise(), kind), config=FIT)
    assert (image.width, image.height, image.valid_width, image.valid_height) == (60, 40, 60, 40)
    assert image.pixels.shape == (64, 64, 3)
    assert image.pixels.dtype == np.uint8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_gives_the_upright_picture(orientation: int) -> None:
    stored = noise(40, 60)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decode_image(saved(stored, "PNG", exif=exif), config=FIT)
    turned = orientation >= 5
    assert (image.width, image.height) == ((40, 60) if turned else (60, 40))
    array = np.asarray(stored)
    upright = {
        1: array,
        2: array[:, ::-1],
        3: array[::-1, ::-1],
        4: array[::-1],
        5: array.transpose(1, 0, 2),
        6: np.rot90(array, -1),
        7: array[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(array),
    }[orientation]
    np.testing.assert_array_equal(image.pixels[: image.valid_height, : image.valid_width], upright)


def test_a_damaged_exif_block_does_not_lose_the_picture() -> None:
    data = saved(noise(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decode_image(data, config=FIT).width == 60


# --- geometry ---


def test_fit_never_enlarges_and_pads_with_the_edge() -> None:
    image = decode_image(saved(noise(40, 70), "PNG"), config=FIT)
    assert image.pixels.shape == (64, 96, 3)
    np.testing.assert_array_equal(image.pixels[40:, :70], np.repeat(image.pixels[39:40, :70], 24, axis=0))
    np.testing.assert_array_equal(image.pixels[:40, 70:], np.repeat(image.pixels[:40, 69:70], 26, axis=1))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (12_000, 20), (3, 9_000), (513, 100), (512, 512)])
def test_extreme_sizes(width: int, height: int) -> None:
    image = decode_image(saved(Image.new("L", (width, height), 9), "PNG"), config=FIT)
    assert (image.width, image.height) == (width, height)
    assert max(image.valid_width, image.valid_height) <= 512
    assert min(image.valid_width, image.valid_height) >= 1
    assert image.pixels.shape[0] == canvas_side(image.valid_height)
    assert (image.pixels == 9).all()


def test_stretch_is_square_and_all_valid() -> None:
    image = decode_image(saved(noise(40, 70), "PNG"), config=STRETCH)
    assert image.pixels.shape == (128, 128, 3)
    assert (image.valid_height, image.valid_width, image.width, image.height) == (128, 128, 70, 40)


@given(width=st.integers(1, 20_000), height=st.integers(1, 20_000), limit=st.sampled_from([64, 512, 1000]))
def test_fit_size_holds_its_promises(width: int, height: int, limit: int) -> None:
    w, h = fit_size(width, height, limit)
    assert 1 <= w <= min(width, limit)
    assert 1 <= h <= min(height, limit)
    assert canvas_side(w) % 32 == 0
    assert canvas_side(w) >= max(64, w)


# --- whatever the bytes are ---

_KINDS: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: saved(noise(), "JPEG"),
    "progressive": lambda: saved(noise(), "JPEG", progressive=True),
    "cmyk": lambda: saved(noise().convert("CMYK"), "JPEG"),
    "png": lambda: saved(noise(), "PNG"),
    "palette": lambda: saved(noise().quantize(16), "PNG", transparency=b"\x00\x80"),
    "gif": lambda: saved(noise(), "GIF", save_all=True, append_images=[noise().rotate(90)]),
    "webp": lambda: saved(noise(), "WEBP"),
    "tiff": lambda: saved(noise(), "TIFF"),
    "deflate": lambda: saved(noise(), "TIFF", compression="tiff_adobe_deflate"),
    "bmp": lambda: saved(noise(), "BMP"),
    "mpo": lambda: saved(noise(), "MPO", save_all=True, append_images=[noise()]),
}
_BYTES = {kind: make() for kind, make in _KINDS.items()}


def decode_or_code(data: bytes) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            image = decode_image(data, config=FIT, max_pixels=4_000_000)
        except ImageUnreadable as error:
            outcome = error.code
        else:
            assert image.pixels.shape[2] == 3
            outcome = "decoded"
    assert outcome in {"decoded", *CODES}
    assert not caught, [str(w.message) for w in caught]


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(sorted(_BYTES)),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=12),
    head=st.booleans(),
    keep=st.floats(0.05, 1),
)
def test_damaged_files_give_a_canvas_or_a_code(
    kind: str, flips: list[tuple[float, int]], head: bool, keep: float
) -> None:
    data = bytearray(_BYTES[kind])
    reach = min(len(data), 200) if head else len(data)
    for place, change in flips:
        data[int(place * reach)] ^= change
    decode_or_code(bytes(data[: max(1, int(keep * len(data)))]) if keep < 0.9 else bytes(data))


@settings(max_examples=80, deadline=None)
@given(
    start=st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"MM\0*", b"BM", b"RIFF"]),
    rest=st.binary(max_size=300),
)
def test_random_bytes_give_a_code(start: bytes, rest: bytes) -> None:
    decode_or_code(start + rest)


def test_threads_may_decode_together() -> None:
    with ThreadPoolExecutor(4) as pool:
        work = [data for data in _BYTES.values() for _ in range(4)]
        images = list(pool.map(lambda data: decode_image(data, config=FIT), work))
    for first in range(0, len(images), 4):
        for other in images[first + 1 : first + 4]:
            np.testing.assert_array_equal(images[first].pixels, other.pixels)
