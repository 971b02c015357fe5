"""Blocks of large photographs at native size: where they are taken, on which grid, and how they are averaged."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from support.textured import textured

from ncl_model.architecture.compression import CompressionFeatures
from ncl_model.architecture.config import NclConfig
from ncl_model.architecture.traces import spread
from ncl_model.imaging.decoding import decode_image, decode_photo
from ncl_model.imaging.grid import find_grids
from ncl_model.imaging.native_blocks import gather_blocks


def saved_luma(height: int, width: int, quality: int = 80) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    Image.fromarray(textured(3, height, width)).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer).convert("L"))


def slowly(luma: NDArray[np.uint8], valid: tuple[int, int], phase: tuple[int, int], n: int) -> NDArray[np.uint8]:
    """Block by block: the one whose middle is nearest to its place."""
    cells = [-(-side // 8) for side in valid]
    result = np.zeros((cells[0] * n * 8, cells[1] * n * 8), np.uint8)
    for i in range(cells[0] * n):
        for j in range(cells[1] * n):
            corner = []
            for axis, index in ((0, i), (1, j)):
                place = (index + 0.5) / n * 8 * luma.shape[axis] / valid[axis]
                starts = np.arange(phase[axis], luma.shape[axis] - 7, 8)
                corner.append(int(starts[np.abs(starts + 4 - place).argmin()]))
            block = luma[corner[0] : corner[0] + 8, corner[1] : corner[1] + 8]
            result[i * 8 : i * 8 + 8, j * 8 : j * 8 + 8] = block
    return result


@pytest.mark.parametrize(("valid", "per_cell"), [((96, 131), 1), ((96, 131), 2), ((60, 82), 3)])
def test_blocks_are_those_nearest_to_evenly_spread_places(valid: tuple[int, int], per_cell: int) -> None:
    luma = saved_luma(200, 273)[3:, 5:]
    found = gather_blocks(luma, valid, per_cell)
    grids = find_grids(luma)
    assert grids.first == (5, 3)
    assert found.strength > 6
    for layer, phase in zip(found.luma, grids, strict=True):
        np.testing.assert_array_equal(layer, slowly(luma, valid, phase, per_cell))


def test_a_photograph_of_the_size_of_its_canvas_gives_all_its_blocks() -> None:
    luma = saved_luma(96, 128)
    np.testing.assert_array_equal(gather_blocks(luma, (96, 128), 1).luma[0], luma)


def test_features_are_averaged_by_cell_and_the_padding_repeats_the_edge() -> None:
    luma = torch.tensor(saved_luma(48, 64)).float()[None, None]
    features = CompressionFeatures().of_luma(luma)
    found = spread(features, (3, 4), (32, 64))
    assert found.shape == (1, features.shape[1], 4, 8)
    for row in range(4):
        for column in range(8):
            top, left = 2 * min(row, 2), 2 * min(column, 3)
            wanted = features[0, :, top : top + 2, left : left + 2].mean((1, 2))
            torch.testing.assert_close(found[0, :, row, column], wanted)


@pytest.mark.parametrize(
    ("size", "valid", "message"), [((15, 200), (8, 100), "two blocks"), ((64, 64), (65, 64), "larger than")]
)
def test_what_has_no_native_blocks_is_refused(size: tuple[int, int], valid: tuple[int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gather_blocks(np.zeros(size, np.uint8), valid, 2)


CONFIG = NclConfig(
    architecture="experts",
    compression="dct",
    head="pooled",
    grid="estimated",
    geometry="fit",
    input_size=96,
    native_blocks=2,
)


@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_decoding_gathers_them_upright_and_before_any_resize(orientation: int, mode: str) -> None:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(textured(3, 150, 201)).convert(mode)
    stored.save(buffer, "PNG", exif=exif)
    decoded = decode_image(buffer.getvalue(), config=CONFIG)
    luma = np.asarray(Image.fromarray(decode_photo(buffer.getvalue())).convert("L"))
    wanted = gather_blocks(luma, (decoded.valid_height, decoded.valid_width), 2)
    assert decoded.blocks is not None
    np.testing.assert_array_equal(decoded.blocks.luma, wanted.luma)
    assert decoded.blocks.strength == wanted.strength


def test_photographs_that_fit_have_none_and_other_configs_ask_for_none() -> None:
    buffer = io.BytesIO()
    Image.fromarray(textured(3, 90, 96)).save(buffer, "JPEG")
    assert decode_image(buffer.getvalue(), config=CONFIG).blocks is None
    larger = io.BytesIO()
    Image.fromarray(textured(3, 300, 400)).save(larger, "JPEG")
    assert decode_image(larger.getvalue(), config=dataclasses.replace(CONFIG, native_blocks=0)).blocks is None
    assert decode_image(larger.getvalue(), config=CONFIG).blocks is not None


def test_a_strip_is_too_thin_for_blocks() -> None:
    buffer = io.BytesIO()
    Image.fromarray(textured(3, 15, 400)).save(buffer, "PNG")
    assert decode_image(buffer.getvalue(), config=CONFIG).blocks is None
