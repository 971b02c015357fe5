"""JPEG's grid is found in the pixels, also the one before a crop, and nothing is too odd to be looked at."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import slow_grid
from support.textured import Pixels, textured, through_jpeg

from ncl_model.imaging import grid
from ncl_model.imaging.grid import UNKNOWN, Grids, Phase, find_grids

PHASES = [(row, column) for row in range(8) for column in range(8)]


@pytest.fixture(scope="module")
def photograph() -> Pixels:
    return through_jpeg(textured(3, 96, 120), 75)


def phase_after(top: int, left: int) -> Phase:
    """Where blocks begin once so many pixels were taken off."""
    return Phase(-top % 8, -left % 8)


def test_all_crops_of_a_jpeg_show_their_grid(photograph: Pixels) -> None:
    found = {crop: find_grids(photograph[crop[0] :, crop[1] :]).first for crop in PHASES}
    assert found == {crop: phase_after(*crop) for crop in PHASES}


def test_a_cropped_file_saved_again_shows_both_grids(photograph: Pixels) -> None:
    crops = [crop for crop in PHASES if crop[0] % 2 or crop[1] % 3]
    found = {(t, left): find_grids(through_jpeg(photograph[t : t + 88, left : left + 112], 90)) for t, left in crops}
    assert {crop: grids.first for crop, grids in found.items()} == dict.fromkeys(crops, Phase(0, 0))
    right = [grids.second == phase_after(*crop) for crop, grids in found.items()]
    assert np.mean(right) > 0.95, "the second grid is the one before the crop"


def test_turned_and_mirrored_photographs_keep_theirs(photograph: Pixels) -> None:
    cut = photograph[3:, 5:-1]  # 5 rows before 11 whole blocks; 3 columns, 13 whole blocks, 7 columns
    assert find_grids(cut).first == (5, 3)
    assert find_grids(cut[::-1]).first == (0, 3)
    assert find_grids(np.rot90(cut)).first == (7, 5)


@pytest.mark.parametrize(("height", "width", "crop"), [(40, 56, (0, 0)), (47, 33, (3, 6)), (16, 72, (2, 1))])
def test_the_grids_are_their_definition(height: int, width: int, crop: tuple[int, int]) -> None:
    whole = through_jpeg(textured(9, height + 8, width + 8), 70)
    pixels = whole[crop[0] : crop[0] + height, crop[1] : crop[1] + width]
    coefficients = grid._coefficients(grid._windows(pixels))
    empty = (np.abs(coefficients[..., 1:]) < 0.75).mean(axis=(0, 2))
    combs = grid._combs(coefficients[..., grid._lowest()])
    for phase in [(0, 0), (3, 6), (5, 2), (7, 7)]:
        slow = slow_grid.blocks(pixels, phase)
        at = phase[0] * 8 + phase[1]
        np.testing.assert_allclose(coefficients[:, at], [block.ravel() for block in slow], atol=2e-3)
        # float32 may put a coefficient that is on the limit on its other side
        assert empty[at] == pytest.approx(slow_grid.empty_share(slow), abs=2e-3)
        assert combs[at] == pytest.approx(slow_grid.comb_strength(slow), abs=0.05)


def test_the_answer_is_the_slow_one() -> None:
    whole = through_jpeg(textured(4, 72, 80), 60)
    again = through_jpeg(whole[5:61, 2:74], 90)
    assert find_grids(again) == slow_grid.find_grids(again) == ((0, 0), (3, 6))


def test_windows_are_spread_over_all_of_a_large_photograph() -> None:
    pixels = np.zeros((400, 640, 3), np.uint8)
    pixels[..., 0] = np.arange(640) // 8
    pixels[..., 1] = np.arange(400)[:, None] // 8
    windows = grid._windows(pixels)
    columns, rows = slow_grid.corners(640, 400), slow_grid.corners(400, 640)
    assert len(windows) == len(rows) * len(columns)
    assert 200 <= len(windows) <= 320
    expected = [0.299 * (left // 8) + 0.587 * (top // 8) - 128 for top in rows for left in columns]
    np.testing.assert_allclose(windows[:, 0, 0], expected, atol=1e-3)
    assert (rows[-1] > 400 * 0.85, columns[-1] > 640 * 0.85) == (True, True)


def test_the_same_pixels_give_the_same_grids_whatever_their_layout(photograph: Pixels) -> None:
    cut = photograph[1:80, 2:101]
    assert find_grids(cut) == find_grids(np.ascontiguousarray(cut)) == find_grids(np.asfortranarray(cut))


@settings(max_examples=40, deadline=None)
@given(
    height=st.one_of(st.integers(1, 40), st.just(300)),
    width=st.one_of(st.integers(1, 40), st.just(1500)),
    kind=st.sampled_from(["noise", "flat", "saved"]),
    seed=st.integers(0, 99),
)
def test_nothing_is_too_odd(height: int, width: int, kind: str, seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    pixels = np.full_like(noise, seed) if kind == "flat" else through_jpeg(noise, 50) if kind == "saved" else noise
    found = find_grids(pixels)
    assert found == find_grids(pixels.copy())
    assert isinstance(found, Grids)
    assert all(0 <= number < 8 and type(number) is int for phase in found for number in phase)
    if min(height, width) < 16:
        assert found == UNKNOWN
    else:
        assert found.first != found.second
