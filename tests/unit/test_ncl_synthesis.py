"""Synthetic manipulations, crops and distortions: deterministic, and true to their masks."""

from __future__ import annotations

import numpy as np
from support.training_material import photo

from ncl_model.data.augmentation import augment, crop_window, recompress
from ncl_model.data.synthesis import synthesize


def test_synthesis_is_deterministic_and_changes_only_around_the_mask() -> None:
    regions = np.ones((80, 120), np.uint8)
    regions[10:40, 10:50] = 2
    photos = [photo(1), photo(2)]
    for seed in range(12):
        pixels, mask = synthesize(photos, [(0, regions)], 64, np.random.default_rng(seed))
        again = synthesize(photos, [(0, regions)], 64, np.random.default_rng(seed))
        np.testing.assert_array_equal(pixels, again[0])
        np.testing.assert_array_equal(mask, again[1])
        assert pixels.shape == (64, 64, 3)
        assert mask.shape == (64, 64)
        assert 0.004 < mask.mean() < 0.6


def test_crops_hold_tampering_and_start_on_the_jpeg_grid() -> None:
    rows = np.repeat(np.arange(200, dtype=np.uint8)[:, None], 230, axis=1)
    columns = np.repeat(np.arange(230, dtype=np.uint8)[None], 200, axis=0)
    pixels = np.stack([rows, columns, rows], axis=-1)
    mask = np.zeros((200, 230), np.bool_)
    mask[150:155, 200:210] = True
    for seed in range(20):
        crop, cropped = crop_window(pixels, mask, 64, np.random.default_rng(seed))
        assert crop.shape == (64, 64, 3)
        assert cropped.any()
        assert crop[0, 0, 0] % 8 == 0
        assert crop[0, 0, 1] % 8 == 0


def test_small_photographs_are_padded() -> None:
    pixels, mask = crop_window(photo(0, 20, 30), np.ones((20, 30), np.bool_), 64, np.random.default_rng(0))
    assert pixels.shape == (64, 64, 3)
    assert mask.sum() == 600


def test_augmentation_moves_pixels_and_mask_together() -> None:
    mask = np.zeros((64, 64), np.bool_)
    mask[5:20, 30:60] = True
    pixels = np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2)
    for seed in range(20):
        moved, moved_mask = augment(pixels, mask, np.random.default_rng(seed), jpeg=0.0)
        np.testing.assert_array_equal(moved[..., 0] > 128, moved_mask)


def test_recompression_stays_close_and_keeps_the_shape() -> None:
    pixels = photo(3, 64, 64)
    assert np.abs(recompress(pixels, 95).astype(int) - pixels).mean() < 6
