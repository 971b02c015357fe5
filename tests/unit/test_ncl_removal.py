"""Filling regions so that what was there is gone."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ncl_model.data.removal import continued, remove


def hole(height: int = 96, width: int = 128) -> np.ndarray:
    mask = np.zeros((height, width), np.bool_)
    mask[30:60, 40:80] = True
    return mask


def texture(height: int = 96, width: int = 128) -> np.ndarray:
    rng = np.random.default_rng(5)
    return rng.integers(60, 200, (height, width, 3), dtype=np.uint8)


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), share=st.floats(0.02, 0.98), seed=st.integers(0, 2**16))
def test_a_continuation_keeps_the_known_and_stays_between_its_extremes(
    height: int, width: int, share: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.uniform(-100, 300, (height, width, 2)).astype(np.float32)
    known = rng.random((height, width)) < share
    known[rng.integers(height), rng.integers(width)] = True
    filled = continued(values, known)
    assert np.array_equal(filled[known], values[known])
    assert filled.min() >= values[known].min() - 0.01
    assert filled.max() <= values[known].max() + 0.01


def test_a_slope_is_continued_as_a_slope() -> None:
    values = np.broadcast_to(np.linspace(0, 255, 128, dtype=np.float32)[None, :, None], (96, 128, 3))
    assert np.abs(continued(np.array(values), ~hole()) - values).mean() < 2.0


def test_only_the_region_changes_and_the_same_seed_gives_the_same_fill() -> None:
    pixels, mask = texture(), hole()
    fills = [remove(pixels, mask, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    for filled in fills:
        assert np.array_equal(filled[~mask], pixels[~mask])
        assert (filled[mask] != pixels[mask]).any(axis=1).mean() > 0.9
    assert np.array_equal(fills[0], fills[1])
    assert not np.array_equal(fills[0], fills[2])


def test_most_fills_have_the_grain_of_their_surroundings() -> None:
    """A clone of noise is noise; a smooth continuation is not. Three of four are clones."""
    pixels, mask = texture(), hole()
    grain = [float(remove(pixels, mask, np.random.default_rng(s))[mask].std()) for s in range(40)]
    clones = sum(g > 25 for g in grain)
    assert 20 <= clones <= 38


def test_a_clone_meets_its_surroundings_without_a_step() -> None:
    pixels = np.broadcast_to(np.linspace(20, 220, 128)[None, :, None], (96, 128, 3)).astype(np.uint8)
    mask = hole()
    for seed in range(10):
        filled = remove(pixels, mask, np.random.default_rng(seed)).astype(int)
        assert np.abs(filled - pixels)[mask].mean() < 8, "moved brightness was not bent back"


def test_a_region_of_nothing_or_of_everything_leaves_the_photograph() -> None:
    pixels = texture()
    for mask in (np.zeros(pixels.shape[:2], np.bool_), np.ones(pixels.shape[:2], np.bool_)):
        assert remove(pixels, mask, np.random.default_rng(0)) is pixels
