"""Large JPEGs are decoded at a smaller scale: hardly other pixels, the same limits."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image
from support.photo_bytes import FIT, code_of, saved

from ncl_model.imaging.decoding import decode_image
from ncl_model.imaging.pixels import Conversion, rgb_conversion


def test_a_large_jpeg_is_decoded_reduced_and_looks_the_same() -> None:
    ramp = np.linspace(0, 255, 4000, dtype=np.uint8)
    photo = Image.fromarray(np.broadcast_to(ramp[None, :, None], (3000, 4000, 3)).copy())
    small = decode_image(saved(photo, "JPEG", quality=90), config=FIT)
    assert (small.width, small.height, small.valid_width, small.valid_height) == (4000, 3000, 512, 384)
    exact = np.asarray(photo.resize((512, 384), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(small.pixels.astype(int) - exact).max() <= 4


def large(mode: str = "RGB") -> Image.Image:
    """2400 x 1600: five and three times the canvas."""
    rng = np.random.default_rng(1)
    coarse = Image.fromarray(rng.integers(0, 256, (16, 24, 3), dtype=np.uint8))
    return coarse.resize((2400, 1600), Image.Resampling.BICUBIC).convert(mode)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize(
    ("mode", "options"),
    [("RGB", {}), ("RGB", {"progressive": True}), ("L", {}), ("CMYK", {}), ("RGB", {"subsampling": 0})],
)
def test_reduced_decoding_shows_what_full_decoding_shows(
    orientation: int, mode: str, options: dict[str, object]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(large(mode), "JPEG", quality=92, exif=exif, **options)
    full = decode_image(data, config=dataclasses.replace(FIT, draft_margin=0))
    reduced = decode_image(data, config=FIT)
    assert reduced.pixels.shape == full.pixels.shape
    assert (reduced.width, reduced.height) == ((1600, 2400) if orientation >= 5 else (2400, 1600))
    difference = np.abs(reduced.pixels.astype(int) - full.pixels)
    assert 0 < difference.max() <= 6, "other pixels, hardly"


@pytest.mark.parametrize(("margin", "scale"), [(0, 1), (1, 4), (1.5, 2), (2, 2), (3, 1)])
def test_the_margin_says_how_small_a_jpeg_is_decoded(
    margin: float, scale: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []

    def looked_at(image: Image.Image) -> Conversion:
        seen.append(image.size)
        return rgb_conversion(image)

    monkeypatch.setattr("ncl_model.imaging.fitting.rgb_conversion", looked_at)
    decode_image(saved(large(), "JPEG"), config=dataclasses.replace(FIT, draft_margin=margin))
    assert seen == [(2400 // scale, 1600 // scale)]


def test_the_pixel_limit_counts_the_full_size_of_what_is_decoded_reduced() -> None:
    assert code_of(saved(large(), "JPEG"), max_pixels=2400 * 1600 - 1) == "too_large"


def test_a_large_jpeg_that_is_cut_off_is_corrupt_also_when_decoded_reduced() -> None:
    data = saved(large(), "JPEG")
    assert code_of(data[: len(data) // 2]) == "corrupt"
