"""The benign operations: sizes, masks that stay on their pixels, ends of files, and the same every time."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from support.odd_images import photo

from ncl_model.imaging.benign import BENIGN, BenignOperation, brightened, cropped, scaled, scaled_mask
from ncl_model.imaging.decoding import decode_photo
from ncl_model.imaging.encoding import bitmap, jpeg_file, png_file

PIXELS = np.asarray(photo(96, 64).convert("RGB"))
MASK = np.zeros(PIXELS.shape[:2], np.bool_)
MASK[16:40, 24:72] = True
BY_NAME = {operation.name: operation for operation in BENIGN}


def test_there_are_eight_and_each_has_a_name_of_its_own() -> None:
    names = "crop|crop, JPEG 85|resize 0.78|resize 0.78, JPEG 85|brighten, JPEG 90|messenger|PNG export|screenshot"
    assert "|".join(operation.name for operation in BENIGN) == names
    assert len({operation.how for operation in BENIGN}) == 8


SIZES = {
    "crop": (59, 93),
    "crop, JPEG 85": (59, 93),
    "resize 0.78": (50, 75),
    "resize 0.78, JPEG 85": (50, 75),
    "brighten, JPEG 90": (64, 96),
    "messenger": (50, 75),
    "PNG export": (64, 96),
    "screenshot": (80, 120),
}


@pytest.mark.parametrize("operation", BENIGN, ids=lambda operation: operation.name)
def test_the_file_has_its_size_and_the_mask_has_it_too(operation: BenignOperation) -> None:
    data, mask = operation(PIXELS, MASK)
    assert decode_photo(data).shape == (*SIZES[operation.name], 3)
    assert (mask.shape, mask.dtype) == (SIZES[operation.name], np.bool_)


@pytest.mark.parametrize("operation", BENIGN, ids=lambda operation: operation.name)
def test_the_mask_stays_on_what_it_marks(operation: BenignOperation) -> None:
    """A photograph that is bright where the mask is: after any operation that still holds, but for the border."""
    marked = np.where(MASK[..., None], 180, 20).astype(np.uint8).repeat(3, axis=2)
    data, mask = operation(marked, MASK)
    bright = decode_photo(data)[..., 1] > 100
    assert np.count_nonzero(bright != mask) <= 0.02 * mask.size
    assert mask.mean() == pytest.approx(MASK.mean(), rel=0.15)


@pytest.mark.parametrize("operation", BENIGN, ids=lambda operation: operation.name)
def test_the_same_pixels_give_the_same_file_and_stay_as_they_were(operation: BenignOperation) -> None:
    pixels, mask = PIXELS.copy(), MASK.copy()
    pixels.flags.writeable = mask.flags.writeable = False
    first, second = operation(pixels, mask), operation(PIXELS.copy(), MASK.copy())
    assert first[0] == second[0]
    np.testing.assert_array_equal(first[1], second[1])


@pytest.mark.parametrize("operation", BENIGN, ids=lambda operation: operation.name)
def test_lossless_ends_lose_nothing_and_jpeg_ends_have_their_quality(operation: BenignOperation) -> None:
    data = operation.file(PIXELS)
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == ("PNG" if operation.quality is None else "JPEG")
        assert image.format in operation.how
        if operation.quality is None:
            np.testing.assert_array_equal(np.asarray(image), operation.pixels(PIXELS))
            return
        assert operation.name == "messenger" or str(operation.quality) in operation.name
        with Image.open(io.BytesIO(jpeg_file(PIXELS, operation.quality))) as reference:
            assert image.quantization == reference.quantization  # type: ignore[attr-defined]
        assert image.layer[0][1:3] == (2, 2)  # type: ignore[attr-defined]


def test_a_crop_leaves_the_other_pixels_alone_and_shifts_the_grid() -> None:
    np.testing.assert_array_equal(BY_NAME["crop"].pixels(PIXELS), PIXELS[5:, 3:])
    assert all(side % 8 for side in BY_NAME["crop"].cut)


def test_an_export_as_png_changes_no_pixel() -> None:
    np.testing.assert_array_equal(decode_photo(BY_NAME["PNG export"].file(PIXELS)), PIXELS)
    np.testing.assert_array_equal(decode_photo(bitmap(PIXELS)), PIXELS)


def test_brightening_multiplies_and_is_cut_at_white() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)[..., None].repeat(3, axis=2)
    bright = brightened(values, 1.2)
    np.testing.assert_array_equal(bright, np.rint(values * 1.2).clip(0, 255).astype(np.uint8))
    assert (bright[-1] == 255).all()


def test_scaling_keeps_what_is_flat_and_the_mean_of_what_is_not() -> None:
    assert (scaled(np.full((10, 20, 3), 77, np.uint8), 0.78) == 77).all()
    for scale in (0.78, 1.25):
        assert abs(float(scaled(PIXELS, scale).mean()) - float(PIXELS.mean())) < 2
    assert scaled_mask(np.ones((10, 20), np.bool_), 0.78).all()
    assert not scaled_mask(np.zeros((10, 20), np.bool_), 1.25).any()


def test_photographs_of_a_few_pixels_survive_everything() -> None:
    for shape in ((1, 1), (3, 2), (5, 3), (6, 4)):
        pixels, mask = np.full((*shape, 3), 90, np.uint8), np.ones(shape, np.bool_)
        for operation in BENIGN:
            data, left = operation(pixels, mask)
            assert decode_photo(data).shape[:2] == left.shape
            assert left.all()
    assert cropped(np.ones((5, 4), np.bool_), (3, 5)).shape == (5, 1)  # rows: no more than are cut off, so none is


def test_png_is_read_back_as_it_was() -> None:
    np.testing.assert_array_equal(decode_photo(png_file(PIXELS[::2, ::-1])), PIXELS[::2, ::-1])
