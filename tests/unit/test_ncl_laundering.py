"""What happens to photographs on their way: the steps, their shares, and masks that stay where they belong."""

from __future__ import annotations

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from support.textured import textured, through_jpeg

from ncl_model.data import laundering
from ncl_model.data.laundering import launder, rescale
from ncl_model.data.resaving import JpegSettings, draw_settings, saved, settings_of
from ncl_model.imaging.grid import find_grids


def hole(height: int = 240, width: int = 320) -> np.ndarray:
    mask = np.zeros((height, width), np.bool_)
    mask[75:150, 100:200] = True
    return mask


def test_rescaling_moves_pixels_and_mask_together() -> None:
    mask = hole()
    pixels = np.repeat(mask[..., None] * np.uint8(200), 3, axis=2)
    for factor in (0.5, 0.7, 1.6):
        scaled, where = rescale(pixels, mask, factor)
        assert scaled.shape[:2] == where.shape == (round(240 * factor), round(320 * factor))
        assert ((scaled[..., 0] > 100) == where).mean() > 0.98


def test_rescaling_leaves_sensible_sides() -> None:
    def sides(height: int, width: int, factor: float) -> tuple[int, ...]:
        return rescale(np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.bool_), factor)[1].shape

    assert sides(240, 320, 0.1) == (112, 149)
    assert sides(80, 120, 0.5) == (80, 120), "already small"
    assert sides(80, 120, 1.5) == (120, 180)
    assert sides(900, 1200, 1.3) == (1050, 1400)
    assert sides(900, 1600, 1.3) == (900, 1600), "already large"
    assert sides(1, 1, 0.5) == (8, 8)


def test_laundering_is_deterministic_and_keeps_masks_in_place() -> None:
    mask = hole()
    pixels = np.where(mask[..., None], np.uint8(220), np.uint8(30)) * np.ones((1, 1, 3), np.uint8)
    changed = 0
    for seed in range(40):
        moved, where = launder(pixels, mask, np.random.default_rng(seed))
        again = launder(pixels, mask, np.random.default_rng(seed))
        np.testing.assert_array_equal(moved, again[0])
        np.testing.assert_array_equal(where, again[1])
        assert moved.shape[:2] == where.shape
        assert ((moved[..., 1] > 125) == where).mean() > 0.97, seed
        changed += not np.array_equal(moved, pixels)
    assert changed > 30


def test_the_steps_have_their_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Counter[str] = Counter()

    def counting(name: str, result: int) -> None:
        real = getattr(laundering, name)

        def counted(*given: object) -> object:
            seen[name] += 1
            return real(*given) if name == "_lossless" else given[:result] if result > 1 else given[0]

        monkeypatch.setattr(laundering, name, counted)

    for name, result in (("_cropped", 2), ("rescale", 2), ("resave", 1), ("_lossless", 2)):
        counting(name, result)
    pixels, mask = textured(0, 24, 24), np.zeros((24, 24), np.bool_)
    draws = 4000
    for seed in range(draws):
        launder(pixels, mask, np.random.default_rng(seed))
    # first crop, before the second save, at a lossless end; first scale and lossless end; first and second save
    wanted = {"_cropped": 0.5 + 0.8 * 0.2 * 0.5 + 0.04, "rescale": 0.5 + 0.04, "resave": 0.8 * 1.2, "_lossless": 0.08}
    assert {name: seen[name] / draws for name in wanted} == pytest.approx(wanted, abs=0.03)


def test_filters_are_seldom_and_change_what_they_should() -> None:
    pixels = textured(2, 64, 64)
    untouched = [np.array_equal(laundering._filtered(pixels, np.random.default_rng(s)), pixels) for s in range(200)]
    assert np.mean(untouched) == pytest.approx(0.85**3, abs=0.08)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 90), (15, 16), (17, 30), (40, 33)])
def test_no_photograph_is_too_small(height: int, width: int) -> None:
    for seed in range(60):
        pixels, where = launder(
            textured(1, height, width), np.ones((height, width), np.bool_), np.random.default_rng(seed)
        )
        assert pixels.shape[:2] == where.shape
        assert min(pixels.shape[:2]) >= min(height, width, 16)
        assert where.all()


def test_crops_take_less_than_sixteen_pixels_off_a_side_and_leave_sixteen() -> None:
    pixels = np.zeros((100, 60, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(100)[:, None], np.arange(60)
    corners = set()
    for seed in range(300):
        cut, mask = laundering._cropped(pixels, np.zeros((100, 60), np.bool_), np.random.default_rng(seed))
        assert 70 <= cut.shape[0] <= 100
        assert 30 <= cut.shape[1] <= 60
        assert mask.shape == cut.shape[:2]
        corners.add((int(cut[0, 0, 0]) % 8, int(cut[0, 0, 1]) % 8))
    assert len(corners) > 50, "nearly every phase"
    small = laundering._cropped(pixels[:20, :9], np.zeros((20, 9), np.bool_), np.random.default_rng(0))[0]
    assert small.shape[0] >= 16
    assert small.shape[1] == 9


def test_drawn_settings_can_be_written_and_are_varied() -> None:
    drawn = [draw_settings(np.random.default_rng(seed), 40, 95) for seed in range(120)]
    pixels = textured(3, 32, 32)
    for settings in drawn:
        assert settings_of(saved(pixels, settings)) == settings
    assert len(set(drawn)) > 90, "of 56 qualities"
    assert {settings.subsampling for settings in drawn} == {0, 2}
    plain = JpegSettings(((7,) * 64,) * 2, 1)
    like = [draw_settings(np.random.default_rng(seed), 40, 95, like=[plain]) == plain for seed in range(400)]
    assert np.mean(like) == pytest.approx(0.2, abs=0.06)


def test_unbent_tables_are_those_of_libjpeg() -> None:
    """Without the bend a drawn file has the tables Pillow writes at the same quality."""

    def libjpeg(quality: int) -> tuple[tuple[int, ...], ...]:
        buffer = io.BytesIO()
        Image.fromarray(textured(3, 16, 16)).save(buffer, "JPEG", quality=quality)
        settings = settings_of(buffer.getvalue())
        assert settings is not None
        return settings.tables

    drawn = [draw_settings(np.random.default_rng(seed), 75, 75).tables for seed in range(40)]
    ours = min(drawn, key=lambda tables: np.abs(np.subtract(tables, libjpeg(75))).max())
    assert np.abs(np.subtract(ours, libjpeg(75))).max() <= 1, "libjpeg rounds downwards"


def test_laundered_jpegs_have_a_grid_that_is_found() -> None:
    """A photograph that ends as JPEG begins its blocks at the first pixel."""
    whole = through_jpeg(textured(4, 160, 192), 90)
    found = [find_grids(launder(whole, np.zeros((160, 192), np.bool_), np.random.default_rng(s))[0]) for s in range(25)]
    assert np.mean([grids.first == (0, 0) for grids in found]) > 0.6
