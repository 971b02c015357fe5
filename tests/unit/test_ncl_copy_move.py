"""Copied regions: found where there are some, not where things repeat by themselves, the same way every time."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from copied_photos import CopiedPhoto, copied, facade, photograph, saved
from PIL import Image

from ncl_model.copy_move import CopyMoveConfig, CopyMoveEvidence, find_copies

KNOWN = {
    "shifted": {},
    "shifted, JPEG 75": {"quality": 75},
    "turned by 20 degrees": {"angle": 20.0},
    "turned by 20 degrees, JPEG 75": {"angle": 20.0, "quality": 75},
    "turned by -135 degrees": {"angle": -135.0},
    "scaled by 1.2": {"scale": 1.2},
    "scaled by 1.2, JPEG 75": {"scale": 1.2, "quality": 75},
    "scaled by 0.8": {"scale": 0.8},
    "turned by -12 degrees and scaled by 1.15, JPEG 75": {"angle": -12.0, "scale": 1.15, "quality": 75},
    "mirrored": {"mirrored": True},
    "mirrored and turned by 15 degrees, JPEG 75": {"mirrored": True, "angle": 15.0, "quality": 75},
}


def search(photo: Image.Image) -> CopyMoveEvidence:
    return find_copies(np.asarray(photo))


def overlap(evidence: CopyMoveEvidence, truth: CopiedPhoto) -> float:
    """Intersection over union of the map and both true ends."""
    assert evidence.heatmap is not None
    found = evidence.heatmap > 0.5
    return float((found & truth.both).sum() / (found | truth.both).sum())


@pytest.mark.parametrize("how", KNOWN.values(), ids=KNOWN)
def test_a_known_copy_is_found_with_its_transform_and_both_ends(how: dict[str, float]) -> None:
    truth = copied(photograph("coffee"), **how)
    evidence = find_copies(truth.pixels)
    assert evidence.level == "strict"
    pair = evidence.pairs[0]
    # either end may be called the first
    scale, angle = how.get("scale", 1.0), how.get("angle", 0.0)
    mirrored = how.get("mirrored", False)
    assert pair.mirrored == mirrored
    known = {1: (scale, angle), -1: (1 / scale, angle if mirrored else -angle)}
    towards = 1 if pair.shift_px[0] > 0 else -1
    assert pair.scale == pytest.approx(known[towards][0], rel=0.02)
    assert pair.angle_deg == pytest.approx(known[towards][1], abs=1.0)
    assert overlap(evidence, truth) > 0.75


def test_the_record_says_where_and_how_far() -> None:
    truth = copied(photograph("coffee"), target=(0.7, 0.6))
    pair = find_copies(truth.pixels).pairs[0]
    height, width = truth.source.shape
    rows, columns = np.nonzero(truth.source)
    end = pair.first if pair.shift_px[0] > 0 else pair.second
    assert end == pytest.approx(
        (columns.min() / width, rows.min() / height, columns.max() / width, rows.max() / height), abs=0.04
    )
    assert [abs(part) for part in pair.shift_px] == pytest.approx(
        [round(0.7 * width) - round(0.3 * width), round(0.6 * height) - round(0.35 * height)], abs=0.3
    )
    assert pair.area_px == pytest.approx(truth.source.sum(), rel=0.15)
    assert pair.inliers > 10
    assert pair.zncc > 0.95
    for x, y, other_x, other_y in pair.lines:
        shift = np.array([(other_x - x) * width, (other_y - y) * height])
        assert shift == pytest.approx(pair.shift_px, abs=3.0)


def test_two_copies_in_one_photograph_are_two_pairs() -> None:
    once = copied(photograph("astronaut"), source=(0.45, 0.22), target=(0.15, 0.75), radius=0.09)
    twice = copied(once.photo, source=(0.6, 0.75), target=(0.88, 0.2), radius=0.1, angle=20.0, quality=85)
    evidence = find_copies(twice.pixels)
    strict = [pair for pair in evidence.pairs if pair.statistic > CopyMoveConfig().strict]
    assert sorted(round(abs(pair.angle_deg), -1) for pair in strict) == [0, 20]


@pytest.mark.parametrize("quality", [None, 75])
@pytest.mark.parametrize("name", ["astronaut", "cat", "coffee", "rocket", "retina", "camera", "clock", "admiral"])
def test_authentic_photographs_are_no_strict_evidence(name: str, quality: int | None) -> None:
    photo = photograph(name)
    assert search(photo if quality is None else saved(photo, quality)).level != "strict"


def test_weak_proposals_do_not_use_up_the_pixels_of_a_strong_one() -> None:
    """A mirrored copy with 53 matches came after three chance ones of large regions, and was not looked at any more."""
    evidence = find_copies(copied(photograph("coffee"), mirrored=True).pixels, CopyMoveConfig(max_looks=0.2))
    assert evidence.level == "strict"


def test_a_front_of_equal_windows_is_no_strict_evidence() -> None:
    evidence = search(facade())
    assert evidence.level != "strict"


def test_a_copy_ranks_above_its_own_photograph() -> None:
    photo = photograph("cat")
    assert find_copies(copied(photo, angle=10, quality=70).pixels).statistic > search(saved(photo, 70)).statistic


def test_the_map_lies_on_the_pixels_given_also_of_a_large_photograph() -> None:
    truth = copied(photograph("coffee", 1600), angle=20.0, quality=90)
    evidence = find_copies(truth.pixels)
    assert evidence.heatmap is not None
    assert evidence.heatmap.shape == truth.source.shape
    assert evidence.heatmap.dtype == np.float32
    assert overlap(evidence, truth) > 0.75
    towards = 1 if evidence.pairs[0].shift_px[0] > 0 else -1
    assert towards * evidence.pairs[0].shift_px[0] == pytest.approx(0.4 * 1600, abs=40)


def test_the_map_is_zero_where_nothing_is_found() -> None:
    truth = copied(photograph("coffee"))
    heatmap = find_copies(truth.pixels).heatmap
    assert heatmap is not None
    assert 0 < (heatmap > 0).mean() < 0.3
    assert heatmap.max() <= 1
    blank = np.full((200, 300, 3), 120, np.uint8)
    nothing = find_copies(blank)
    assert (nothing.statistic, nothing.level, nothing.pairs) == (0.0, "none", ())
    assert nothing.heatmap is not None
    assert not nothing.heatmap.any()


def same(first: CopyMoveEvidence, second: CopyMoveEvidence) -> bool:
    assert first.heatmap is not None
    assert second.heatmap is not None
    return (first.statistic, first.pairs) == (second.statistic, second.pairs) and bool(
        (first.heatmap == second.heatmap).all()
    )


def test_the_same_pixels_give_the_same_evidence_twice_and_in_threads() -> None:
    photos = [copied(photograph(name), angle=15, quality=80).pixels for name in ("coffee", "cat")]
    alone = [find_copies(pixels) for pixels in photos]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(find_copies, photos * 3))
    assert all(same(found, alone[number % 2]) for number, found in enumerate(together))


def test_pixels_are_not_written_to_and_may_be_a_view() -> None:
    truth = copied(photograph("coffee"))
    pixels = truth.pixels.copy()
    view = np.ascontiguousarray(pixels[:, ::-1])[:, ::-1]
    view.flags.writeable = False
    assert same(find_copies(view), find_copies(pixels))
    assert (pixels == truth.pixels).all()


def test_evidence_survives_being_written_and_read() -> None:
    evidence = find_copies(copied(photograph("coffee"), angle=20).pixels)
    document = json.loads(json.dumps(evidence.to_dict(), allow_nan=False))
    back = CopyMoveEvidence.from_dict(document)
    assert back.to_dict() == evidence.to_dict()
    assert back.pairs[0].first == pytest.approx(evidence.pairs[0].first, abs=1e-4)
    assert back.heatmap is None


def odd_pictures() -> dict[str, np.ndarray]:
    random = np.random.default_rng(5)
    checks = np.kron(np.indices((40, 40)).sum(0) % 2, np.ones((8, 8))).astype(np.uint8) * 255
    stripes = np.tile(np.where(np.arange(300) % 7 < 3, 240, 10).astype(np.uint8), (200, 1))
    tile = random.integers(0, 255, (20, 20), np.uint8)
    return {
        **{f"{h} x {w}, noise": random.integers(0, 255, (h, w, 3), np.uint8)
           for h, w in [(1, 1), (1, 5000), (5000, 1), (2, 2), (31, 400), (32, 32), (33, 3000), (64, 64), (300, 400)]},
        **{f"{h} x {w}, flat": np.full((h, w, 3), 255, np.uint8) for h, w in [(1, 1), (64, 64), (700, 40)]},
        "no rows": np.zeros((0, 40, 3), np.uint8),
        "checks": np.dstack([checks] * 3),
        "stripes": np.dstack([stripes] * 3),
        "tiles of noise": np.dstack([np.tile(tile, (20, 20))] * 3),
        "two halves": np.dstack([np.tile(random.integers(0, 255, (200, 150), np.uint8), (1, 2))] * 3),
        "mirrored halves": np.dstack([np.hstack([tile.repeat(8, 0), tile.repeat(8, 0)[:, ::-1]])] * 3),
        "grey ramp": np.dstack([np.tile(np.arange(256, dtype=np.uint8), (256, 1))] * 3),
        "large": np.asarray(photograph("cat", 2600)),
    }  # fmt: skip


@pytest.mark.parametrize("name", odd_pictures())
def test_any_picture_gets_an_answer(name: str) -> None:
    pixels = odd_pictures()[name]
    evidence = find_copies(pixels)
    assert np.isfinite(evidence.statistic)
    assert evidence.statistic >= 0
    assert evidence.heatmap is not None
    assert evidence.heatmap.shape == pixels.shape[:2]
    assert np.isfinite(evidence.heatmap).all()
    assert evidence.searched == (min(pixels.shape[:2]) >= 32 and min(pixels.shape[:2]) * 1024 >= 32 * max(pixels.shape))
    json.dumps(evidence.to_dict(), allow_nan=False)


@pytest.mark.parametrize("seed", range(12))
def test_any_mixture_of_pictures_gets_an_answer(seed: int) -> None:
    """Patches of photographs, noise and flats, repeated, turned and reflected at random."""
    random = np.random.default_rng(seed)
    height, width = (int(side) for side in random.integers(32, 420, 2))
    pixels = np.asarray(photograph("astronaut").resize((width, height))).copy()
    for _ in range(random.integers(1, 30)):
        side = int(random.integers(4, max(5, min(height, width) // 2)))
        (top, to), (left, across) = random.integers(0, height - side, 2), random.integers(0, width - side, 2)
        patch = np.rot90(pixels[top : top + side, left : left + side], int(random.integers(4)))
        kind = random.integers(4)
        if kind == 0:
            patch = random.integers(0, 255, patch.shape, np.uint8)
        elif kind == 1:
            patch = np.full(patch.shape, random.integers(255), np.uint8)
        pixels[to : to + side, across : across + side] = patch[:, ::-1] if kind == 2 else patch
    evidence = find_copies(pixels)
    assert np.isfinite(evidence.statistic)
    json.dumps(evidence.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    "pixels", [np.zeros((40, 40), np.uint8), np.zeros((40, 40, 4), np.uint8), np.zeros((40, 40, 3))]
)
def test_what_is_no_rgb_picture_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"\(H, W, 3\) uint8"):
        find_copies(pixels)


def test_opencv_is_loaded_by_the_first_search_only() -> None:
    script = "import sys, ncl_model, ncl_model.copy_move; print('cv2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
