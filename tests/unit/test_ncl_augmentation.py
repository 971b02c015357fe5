"""Squares of photographs: around the tampering, at any phase or on the grid, pixels and mask together."""

from __future__ import annotations

import numpy as np
import pytest
from support.training_material import photo

from ncl_model.data.augmentation import crop_origin, turn, window_of


def numbered(height: int = 200, width: int = 230) -> np.ndarray:
    """Red is the row, green the column."""
    rows = np.repeat(np.arange(height, dtype=np.uint8)[:, None], width, axis=1)
    columns = np.repeat(np.arange(width, dtype=np.uint8)[None], height, axis=0)
    return np.stack([rows, columns, rows], axis=-1)


def spot(height: int = 200, width: int = 230) -> np.ndarray:
    mask = np.zeros((height, width), np.bool_)
    mask[150:155, 200:210] = True
    return mask


def test_crops_on_the_jpeg_grid_hold_tampering_and_start_on_it() -> None:
    pixels, mask = numbered(), spot()
    for seed in range(20):
        top, left = crop_origin(mask, 64, np.random.default_rng(seed), step=8)
        crop, cropped = window_of(pixels, mask, top, left, 64)
        assert crop.shape == (64, 64, 3)
        assert cropped.any()
        assert crop[0, 0, 0] == top
        assert crop[0, 0, 1] == left
        assert top % 8 == left % 8 == 0


def test_other_crops_hold_tampering_and_start_at_any_phase() -> None:
    pixels, mask = numbered(), spot()
    origins = [crop_origin(mask, (64, 96), np.random.default_rng(seed)) for seed in range(150)]
    for top, left in origins:
        crop, cropped = window_of(pixels, mask, top, left, (64, 96))
        assert crop.shape == (64, 96, 3)
        assert cropped.any()
        assert tuple(crop[0, 0, :2]) == (top, left)
    assert {top % 8 for top, _ in origins} == set(range(8))


def test_authentic_photographs_are_cropped_everywhere() -> None:
    nothing = np.zeros((200, 230), np.bool_)
    origins = [crop_origin(nothing, 64, np.random.default_rng(seed)) for seed in range(200)]
    rows, columns = zip(*origins, strict=True)
    assert (min(rows), max(rows), min(columns), max(columns)) == (0, 136, 0, 166)
    assert len({row // 34 for row in rows} | {column // 34 for column in columns}) == 5


def test_small_photographs_are_mirrored_and_so_are_their_masks() -> None:
    mask = np.zeros((20, 30), np.bool_)
    mask[15:, 4:9] = True
    pixels = np.repeat(mask[..., None].astype(np.uint8) * 200, 3, axis=2)
    origin = crop_origin(mask, 64, np.random.default_rng(0))
    assert origin == (0, 0)
    wide, wider = window_of(pixels, mask, *origin, 64)
    assert wide.shape == (64, 64, 3)
    np.testing.assert_array_equal(wider[:20, :30], mask)
    np.testing.assert_array_equal(wide[..., 0] > 100, wider)
    assert wider[20:40].sum() == wider[:20].sum(), "what is mirrored is as tampered as it was"


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 200), (64, 64)])
def test_any_size_gives_the_window(height: int, width: int) -> None:
    pixels, mask = photo(0, height, width), np.ones((height, width), np.bool_)
    origin = crop_origin(mask, 64, np.random.default_rng(1))
    window, where = window_of(pixels, mask, *origin, 64)
    assert window.shape == (64, 64, 3)
    assert where.all()


def test_turning_moves_pixels_and_mask_together() -> None:
    mask = np.zeros((64, 48), np.bool_)
    mask[5:20, 10:30] = True
    pixels = np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2)
    seen = set()
    for seed in range(80):
        moved, moved_mask = turn(pixels, mask, np.random.default_rng(seed))
        np.testing.assert_array_equal(moved[..., 0] > 128, moved_mask)
        seen.add(moved_mask.tobytes() + bytes(moved_mask.shape))
    assert len(seen) == 8, "four turns, mirrored or not"
