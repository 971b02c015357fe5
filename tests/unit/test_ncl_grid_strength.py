"""How far a JPEG grid stands out: far where there is one, whatever its phase; not at all after a resize."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ncl_model.imaging.grid import measure_grids
from ncl_model.inference.judging import GRID_FROM


def scene(seed: int) -> NDArray[np.uint8]:
    """Soft shapes and some noise, as a photograph has."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize(
        (320, 240), Image.Resampling.BICUBIC
    )
    return np.clip(np.asarray(coarse) + rng.normal(0, 4, (240, 320, 3)), 0, 255).astype(np.uint8)


def saved(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize("quality", [60, 85, 92])
def test_a_grid_stands_out_at_every_phase(quality: int) -> None:
    file = saved(scene(1), quality)
    for row, column in ((0, 0), (3, 5), (7, 1)):
        assert measure_grids(file[row:, column:]).strength > 2 * GRID_FROM


@pytest.mark.parametrize("factor", [0.78, 1.25])
def test_a_lossless_resize_leaves_none(factor: float) -> None:
    image = Image.fromarray(saved(scene(2), 85))
    resized = image.resize((int(image.width * factor), int(image.height * factor)), Image.Resampling.BICUBIC)
    assert measure_grids(np.asarray(resized)).strength < GRID_FROM
    assert measure_grids(scene(3)).strength < GRID_FROM, "nor has a photograph that was never saved as JPEG one"


def test_flat_and_tiny_photographs_have_none() -> None:
    assert measure_grids(np.full((64, 64, 3), 90, np.uint8)).strength < GRID_FROM
    assert measure_grids(np.zeros((9, 200, 3), np.uint8)).strength == 0
