"""Edits by program: deterministic, true to their masks, and nothing beside them; twins change everything."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageFilter
from support.textured import textured

from ncl_model.data import edits
from ncl_model.data.shapes import pick_region, random_shape

Pixels = np.ndarray
Mask = np.ndarray
Edit = Callable[[Pixels, np.random.Generator], tuple[Pixels, Mask]]

HOST, DONOR = textured(1, 120, 152), textured(2, 90, 70)
KINDS = 7


def splice(host: Pixels, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    shape = np.zeros(DONOR.shape[:2], np.bool_)
    shape[12:72, 6:66] = random_shape(rng, 60)
    return edits.splice(host, DONOR, shape, rng)


def copy_move(host: Pixels, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    return edits.copy_move(host, random_shape(rng), rng)


def erase(host: Pixels, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    return edits.erase(host, random_shape(rng), rng)


def retouch(host: Pixels, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    return edits.retouch(host, random_shape(rng), edits.draw_operation(rng), rng)


EDITS = [splice, copy_move, erase, retouch]


def grown(mask: Mask, by: int) -> Mask:
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(image.filter(ImageFilter.MaxFilter(2 * by + 1))) > 0


def changed(before: Pixels, after: Pixels) -> Mask:
    return np.asarray((before != after).any(axis=2))


@pytest.mark.parametrize("edit", EDITS)
def test_edits_are_deterministic_and_leave_what_they_were_given(edit: Edit) -> None:
    for seed in range(10):
        host = HOST.copy()
        pixels, mask = edit(host, np.random.default_rng(seed))
        again = edit(host, np.random.default_rng(seed))
        np.testing.assert_array_equal(host, HOST)
        np.testing.assert_array_equal(pixels, again[0])
        np.testing.assert_array_equal(mask, again[1])
        assert (pixels.shape, pixels.dtype, mask.shape, mask.dtype) == (HOST.shape, np.uint8, HOST.shape[:2], np.bool_)


@pytest.mark.parametrize("edit", EDITS)
def test_masks_hold_a_sensible_area_that_is_changed(edit: Edit) -> None:
    for seed in range(40):
        pixels, mask = edit(HOST, np.random.default_rng(seed))
        assert 0.002 < mask.mean() < 0.45, seed
        assert changed(HOST, pixels)[mask].mean() > 0.25, seed


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize(("width", "reach"), [((0.4, 1.5), 7), ((1.5, 6.0), 22)], ids=["narrow", "feathered"])
def test_nothing_changes_beyond_the_edge(
    edit: Edit, width: tuple[float, float], reach: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edits, "_NARROW", width)
    monkeypatch.setattr(edits, "_WIDE", width)
    beyond, beside = 0, 0
    for seed in range(10):
        pixels, mask = edit(HOST, np.random.default_rng(seed))
        where = changed(HOST, pixels)
        beyond += int(where[~grown(mask, reach)].sum())
        beside += int(where[~mask].sum())
    assert beyond == 0
    # a filled region blends into what was there before: beside it both are the photograph
    assert (beside > 0) == (edit is not erase), "two of three edges are soft"


def test_hard_edges_are_hard(monkeypatch: pytest.MonkeyPatch) -> None:
    """An erased region has the alpha of its mask; without blur nothing beside it changes."""
    monkeypatch.setattr(edits, "_NARROW", (0.0, 0.0))
    monkeypatch.setattr(edits, "_WIDE", (0.0, 0.0))
    for seed in range(12):
        for edit in (erase, retouch):
            pixels, mask = edit(HOST, np.random.default_rng(seed))
            assert not changed(HOST, pixels)[~mask].any()


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize(("height", "width"), [(16, 16), (16, 200), (180, 24)])
def test_small_and_narrow_photographs_can_be_edited(edit: Edit, height: int, width: int) -> None:
    host = textured(5, height, width)
    for seed in range(15):
        pixels, mask = edit(host, np.random.default_rng(seed))
        assert pixels.shape == host.shape
        assert mask.any()


def test_copies_that_are_only_moved_are_equal_to_their_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edits, "_transformed", lambda patch, alpha, host, rng: (patch, alpha))
    monkeypatch.setattr(edits, "_composed", lambda host, overlay, layer, rng: np.array(overlay))
    numbered = np.zeros((120, 152, 3), np.uint8)
    numbered[..., 0], numbered[..., 1] = np.arange(120)[:, None], np.arange(152)
    for seed in range(20):
        pixels, mask = edits.copy_move(numbered, random_shape(np.random.default_rng(seed)), np.random.default_rng(seed))
        rows, columns = np.nonzero(mask)
        moves = {(int(r - p[0]), int(c - p[1])) for r, c, p in zip(rows, columns, pixels[mask], strict=True)}
        assert len(moves) == 1, "every pixel comes from as far away"
        assert moves != {(0, 0)}


def seed_of(kind: int) -> int:
    return next(seed for seed in range(1000) if int(np.random.default_rng(seed).integers(KINDS)) == kind)


@pytest.mark.parametrize("kind", range(KINDS))
def test_every_operation_is_measurable_and_its_twin_is_everywhere(kind: int) -> None:
    for start in range(3):
        seed = next(
            s for s in range(seed_of(kind) + 20 * start, 1000) if np.random.default_rng(s).integers(KINDS) == kind
        )
        operation = edits.draw_operation(np.random.default_rng(seed))
        twin = edits.everywhere(HOST, operation)
        np.testing.assert_array_equal(twin, edits.everywhere(HOST, operation), "an operation draws nothing any more")
        assert np.abs(twin.astype(int) - HOST).mean() > 1
        where = changed(HOST, twin)
        tiles = [where[top : top + 24, left : left + 19] for top in range(0, 120, 24) for left in range(0, 152, 19)]
        assert min(tile.mean() for tile in tiles) > 0.5
        # the same operation on a part gives the same pixels inside it
        rng = np.random.default_rng(seed)
        local, mask = edits.retouch(HOST, random_shape(rng), operation, rng)
        inner = ~grown(~mask, 24)
        np.testing.assert_allclose(local[inner], twin[inner], atol=1)


def test_all_operations_are_drawn() -> None:
    assert {int(np.random.default_rng(seed).integers(KINDS)) for seed in range(60)} == set(range(KINDS))


def test_shapes_nobody_drew_are_never_empty_and_fill_much_of_their_square() -> None:
    shares = []
    for seed in range(200):
        shape = random_shape(np.random.default_rng(seed), 80)
        assert (shape.shape, shape.dtype) == ((80, 80), np.bool_)
        assert shape.any()
        shares.append(shape.mean())
    assert 0.2 < np.mean(shares) < 0.7
    assert not np.array_equal(random_shape(np.random.default_rng(1)), random_shape(np.random.default_rng(2)))


def test_regions_of_a_sensible_size_are_picked() -> None:
    regions = np.ones((100, 100), np.uint8)  # too much
    regions[60:80, 10:40] = 2
    regions[60:80, 50:90] = 3
    regions[99, 99] = 4  # too little
    picked = [pick_region(regions, np.random.default_rng(seed)) for seed in range(60)]
    seen = {tuple(np.unique(regions[mask])) for mask in picked}
    assert seen == {(2,), (3,)}, "most of the photograph is too large, one pixel too small"


def test_the_parts_of_one_thing_are_often_the_whole_thing() -> None:
    regions = np.zeros((60, 60), np.uint8)
    regions[10:30, 10:30], regions[30:40, 10:30] = 1, 2
    whole = [bool(np.array_equal(pick_region(regions, np.random.default_rng(s)), regions > 0)) for s in range(80)]
    assert 0.2 < np.mean(whole) < 0.6


def test_a_small_region_is_joined_with_another() -> None:
    regions = np.ones((100, 100), np.uint8)
    regions[:12, :12], regions[50:62, 50:62] = 2, 3
    masks = [pick_region(regions, np.random.default_rng(seed)) for seed in range(40)]
    assert {int(mask.sum()) for mask in masks} == {144, 288}


def test_of_a_map_of_nothing_sensible_something_is_picked() -> None:
    for regions in (np.ones((20, 20), np.uint8), np.zeros((20, 20), np.uint8)):
        assert pick_region(regions, np.random.default_rng(0)).all()
    tiny = np.zeros((100, 100), np.uint8)
    tiny[3, 3] = 7
    assert {int(pick_region(tiny, np.random.default_rng(seed)).sum()) for seed in range(20)} == {1}
