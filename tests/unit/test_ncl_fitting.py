"""Fitting in bands gives the pixels that fitting as a whole gives, and takes a fraction of its memory."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.photo_bytes import saved

from ncl_model.imaging import bands
from ncl_model.imaging.fitting import fitted_rgb
from ncl_model.imaging.pixels import to_rgb

TURNS = [None, *Image.Transpose]
MODES = ["RGB", "RGBA", "LA", "RGBa", "P", "L", "1", "CMYK", "YCbCr", "HSV", "I;16", "I", "F", "PA"]


def made(mode: str, size: tuple[int, int], seed: int = 0) -> Image.Image:
    random = np.random.default_rng(seed)
    width, height = size
    if mode in {"I;16", "I", "F"}:
        kind = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        return Image.fromarray(random.integers(0, 60_000, (height, width)).astype(kind))
    rgba = Image.fromarray(random.integers(0, 256, (height, width, 4), dtype=np.uint8))
    if mode in {"RGBA", "LA"}:
        return rgba if mode == "RGBA" else rgba.convert("LA")
    if mode == "RGBa":
        return rgba.convert(mode)
    if mode == "PA":
        return rgba.convert("RGB").quantize(16).convert("PA")
    return rgba.convert("RGB").convert(mode)


def as_a_whole(image: Image.Image, turn: Image.Transpose | None, size: tuple[int, int]) -> Image.Image:
    """As it was done before: everything at once."""
    rgb = to_rgb(image)
    rgb = rgb if turn is None else rgb.transpose(turn)
    return rgb if rgb.size == size else rgb.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def assert_same(image: Image.Image, turn: Image.Transpose | None, size: tuple[int, int]) -> None:
    np.testing.assert_array_equal(np.asarray(fitted_rgb(image, turn, size)), np.asarray(as_a_whole(image, turn, size)))


@pytest.fixture(autouse=True)
def small_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "BAND_PIXELS", 700)


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_and_turn_gives_the_same_pixels(mode: str, turn: Image.Transpose | None) -> None:
    for size in [(61, 37), (37, 61)]:
        image = made(mode, size)
        for wanted in [size, (24, 16), (13, 7), (7, 5), (1, 1)]:
            assert_same(image, turn, wanted)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (1000, 3), (64, 64), (127, 251)])
def test_every_shape_gives_the_same_pixels(size: tuple[int, int]) -> None:
    image = made("RGBA", size)
    for longest in (128, 64, 20, 3):
        scale = min(1.0, longest / max(size))
        for turn in (None, Image.Transpose.ROTATE_90, Image.Transpose.TRANSVERSE):
            wanted = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
            sideways = turn is not None
            assert_same(image, turn, wanted[::-1] if sideways else wanted)


@pytest.mark.parametrize("options", [{"transparency": 3}, {}])
def test_palettes_keep_their_transparency_in_bands(options: dict[str, int]) -> None:
    image = Image.open(io.BytesIO(saved(made("RGB", (90, 70)).quantize(32), "PNG", **options)))
    assert_same(image, None, (20, 15))


def test_deep_images_have_one_white_for_all_bands() -> None:
    values = np.zeros((200, 50), np.float32)
    values[-1, -1], values[0, 0] = 300.0, np.nan
    assert_same(Image.fromarray(values), None, (12, 50))


_PEAK = """
import resource, sys
from ncl_model.architecture.config import NclConfig
from ncl_model.imaging.decoding import decode_image
data = open(sys.argv[1], "rb").read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
decode_image(data, config=NclConfig(geometry="fit", input_size=1024))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_large_transparent_image_is_in_memory_once(tmp_path: Path) -> None:
    """Found: 389 kB of PNG became 1.9 GB, five copies of 10,000 x 10,000 RGBA."""
    path = tmp_path / "large.png"
    Image.new("RGBA", (5000, 5000), (10, 20, 30, 40)).save(path)
    command = [sys.executable, "-c", _PEAK, str(path)]
    taken = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert int(taken) * 1024 < 1.5 * 4 * 5000 * 5000
