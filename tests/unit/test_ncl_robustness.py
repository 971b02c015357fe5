"""The distortions of the robustness suite: that each does what its name says, and the same every time."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from support.odd_images import encoded, photo

from ncl_model.errors import ImageUnreadable
from ncl_model.evaluation.robustness import SUITE, Distortion, blurred, noisy, resized
from ncl_model.imaging.decoding import decode_photo

DATA = encoded(photo(), "JPEG")
PIXELS = decode_photo(DATA)


def test_the_suite_is_the_papers() -> None:
    names = "clean, resize 0.78, resize 0.25, blur 3, blur 5, noise 3, noise 5, jpeg 100, jpeg 50"
    assert ", ".join(distortion.name for distortion in SUITE) == names


@pytest.mark.parametrize("distortion", SUITE, ids=lambda d: d.name)
def test_the_same_file_is_distorted_the_same_way_every_time(distortion: Distortion) -> None:
    once = distortion(DATA)
    assert once == distortion(DATA)
    assert (once == DATA) == (distortion.kind == "clean")


@pytest.mark.parametrize(("scale", "side"), [(0.78, 0.78), (0.25, 0.25)])
def test_resizing_gives_that_share_of_the_sides(scale: float, side: float) -> None:
    small = decode_photo(Distortion(kind="resize", amount=scale)(DATA))
    assert small.shape[:2] == (round(PIXELS.shape[0] * side), round(PIXELS.shape[1] * side))
    assert abs(float(small.mean()) - float(PIXELS.mean())) < 2
    assert resized(PIXELS[:1, :1], 0.25).shape == (1, 1, 3)


@pytest.mark.parametrize(("kernel", "sigma"), [(3, 0.8), (5, 1.1)])
def test_blur_spreads_a_point_as_a_gaussian(kernel: int, sigma: float) -> None:
    point = np.zeros((11, 11, 3), np.uint8)
    point[5, 5] = 255
    out = blurred(point, kernel).astype(float)
    reach = kernel // 2
    assert (out[5 - reach : 6 + reach, 5 - reach : 6 + reach] > 0).all()
    assert out[:, : 5 - reach].max() == 0
    assert out[5, 6, 0] / out[5, 5, 0] == pytest.approx(np.exp(-1 / (2 * sigma**2)), abs=0.02)
    assert (blurred(np.full((4, 6, 3), 77, np.uint8), kernel) == 77).all()  # edges included
    assert (blurred(np.full((1, 1, 3), 77, np.uint8), kernel) == 77).all()


@pytest.mark.parametrize("sigma", [3.0, 5.0])
def test_noise_has_its_sigma_and_is_seeded_by_the_file(sigma: float) -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    noise = noisy(grey, sigma, seed=b"a").astype(float) - 128
    assert noise.std() == pytest.approx(sigma, rel=0.03)
    assert abs(noise.mean()) < 0.1
    assert not np.array_equal(noise, noisy(grey, sigma, seed=b"b").astype(float) - 128)
    assert noisy(np.full((9, 9, 3), 255, np.uint8), sigma, seed=b"a").max() == 255  # cut, not wrapped


def test_jpeg_is_stored_at_its_quality() -> None:
    coarse, fine = (Distortion(kind="jpeg", amount=q)(DATA) for q in (50, 100))
    assert len(coarse) < len(fine)
    with Image.open(io.BytesIO(coarse)) as image:
        reference = io.BytesIO()
        Image.fromarray(PIXELS).save(reference, format="JPEG", quality=50)
        with Image.open(reference) as expected:
            assert image.quantization == expected.quantization  # type: ignore[attr-defined]


def test_distortions_see_the_photograph_upright() -> None:
    turned = Image.fromarray(PIXELS).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # a viewer turns it back
    buffer = io.BytesIO()
    turned.save(buffer, format="PNG", exif=exif)
    np.testing.assert_array_equal(
        decode_photo(Distortion(kind="blur", amount=3)(buffer.getvalue())), blurred(PIXELS, 3)
    )


def test_what_is_no_photograph_is_refused_as_ever() -> None:
    with pytest.raises(ImageUnreadable):
        Distortion(kind="noise", amount=3)(DATA[:200])
