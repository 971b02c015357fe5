"""The steps of the search for copied regions, each against a slow reference or a known truth."""

from __future__ import annotations

import numpy as np
import pytest
from copied_photos import copied, photograph

from ncl_model.copy_move.alignment import Slopes, align
from ncl_model.copy_move.config import CopyMoveConfig
from ncl_model.copy_move.correlation import correlate, high_pass
from ncl_model.copy_move.geometry import chained, fitted, inverse, moved, nearest_similarity, resizing, stretches
from ncl_model.copy_move.growing import box_around, grow, laid_over
from ncl_model.copy_move.keypoints import DESCRIPTOR_LENGTH, Keypoints, find_keypoints
from ncl_model.copy_move.matching import _REFLECTED, Matches, match
from ncl_model.copy_move.preparation import prepare
from ncl_model.copy_move.proposals import propose
from ncl_model.copy_move.weighing import CopySigns, log_odds

CONFIG = CopyMoveConfig()


def grey(name: str = "coffee", longest: int = 400) -> np.ndarray:
    return np.asarray(photograph(name, longest).convert("L"))


def turning(angle_deg: float, scale: float, x: float, y: float) -> np.ndarray:
    a = scale * np.exp(1j * np.radians(angle_deg))
    return np.array([[a.real, -a.imag, x], [a.imag, a.real, y]])


def places(count: int, seed: int = 0, side: float = 300.0) -> np.ndarray:
    numbers = np.random.default_rng(seed).uniform(0, side, (count, 2))
    return numbers[:, 0] + 1j * numbers[:, 1]


def test_transforms_chain_invert_and_follow_a_resize() -> None:
    first, second, some = turning(20, 1.3, 5, -8), turning(-70, 0.6, 40, 9), places(9)
    assert moved(chained(first, second), some) == pytest.approx(moved(second, moved(first, some)))
    assert moved(inverse(first), moved(first, some)) == pytest.approx(some)
    # the middle of a picture stays its middle: (w - 1) / 2 of the old, (w' - 1) / 2 of the new
    assert moved(resizing(2.0, 0.5), np.array([49.5 + 99.5j])) == pytest.approx([99.5 + 49.5j])


@pytest.mark.parametrize("affine", [False, True])
def test_a_fit_is_numpys_least_squares(affine: bool) -> None:
    sources = places(30)
    targets = moved(turning(33, 0.9, 12, 70), sources) + places(30, seed=1, side=2.0)
    matrix = fitted(sources, targets, affine=affine)
    assert matrix is not None
    x, y, one, zero = sources.real, sources.imag, np.ones(30), np.zeros(30)
    if affine:
        rows = np.r_[np.c_[x, y, zero, zero, one, zero], np.c_[zero, zero, x, y, zero, one]]
    else:
        rows = np.r_[np.c_[x, -y, one, zero], np.c_[y, x, zero, one]]
    solved, *_ = np.linalg.lstsq(rows, np.r_[targets.real, targets.imag], rcond=None)
    left = rows @ solved
    assert moved(matrix, sources) == pytest.approx(left[:30] + 1j * left[30:])


def test_an_affine_fit_needs_places_off_one_line() -> None:
    line = np.linspace(0, 100, 20) + 0j
    matrix = fitted(line, line * 2 + 5, affine=True)
    assert matrix is not None
    assert stretches(matrix) == pytest.approx((2.0, 2.0))
    assert fitted(line[:1], line[:1], affine=True) is None
    assert fitted(np.zeros(4, complex), np.ones(4, complex), affine=True) is None


@pytest.mark.parametrize("window", [5, 9])
def test_windows_correlate_as_numpy_says(window: int) -> None:
    first = grey(longest=80).astype(np.float32)
    second = np.roll(first, 2, axis=1) * 0.7 + np.random.default_rng(0).normal(0, 5, first.shape).astype(np.float32)
    found = correlate(first, second, window, least_deviation=2.0)
    reach = window // 2
    for row, column in [(reach, reach), (20, 30), (31, 55), (40, 12)]:
        here, there = (
            part[row - reach : row + reach + 1, column - reach : column + reach + 1].astype(np.float64).ravel()
            for part in (first, second)
        )
        assert found.textured[row, column] == (min(here.std(), there.std()) > 2)
        expected = np.corrcoef(here, there)[0, 1] if found.textured[row, column] else 0
        assert found.zncc[row, column] == pytest.approx(expected, abs=1e-3)
        assert found.means[0][row, column] == pytest.approx(here.mean(), rel=1e-4)
        assert found.variances[1][row, column] == pytest.approx(there.var(), rel=1e-2, abs=0.05)


def test_a_flat_window_correlates_with_nothing() -> None:
    flat = np.full((40, 40), 77, np.float32)
    found = correlate(flat, grey(longest=40)[:1].repeat(40, 0)[:, :40].astype(np.float32), 9, 2.0)
    assert not found.textured.any()
    assert not found.zncc.any()
    assert np.abs(high_pass(flat)).max() < 1e-3


def test_products_of_descriptors_are_exact() -> None:
    """So that the order of a sum, hence the number of threads, changes nothing."""
    points = find_keypoints(grey(), CONFIG)
    assert (points.descriptors == np.rint(points.descriptors)).all()
    assert np.linalg.norm(points.descriptors, axis=1) == pytest.approx(DESCRIPTOR_LENGTH, rel=0.02)
    exact = points.descriptors.astype(np.int64) @ points.descriptors.T.astype(np.int64)
    assert (points.descriptors @ points.descriptors.T == exact).all()


def test_keypoints_are_spread_and_bounded() -> None:
    few = CopyMoveConfig(max_keypoints=144, keypoint_cells=12)
    points = find_keypoints(grey("camera", 500), few)
    assert len(points.places) == 144
    cells = np.floor(points.places.real * 12 / 500) + 1j * np.floor(points.places.imag * 12 / 500)
    every = find_keypoints(grey("camera", 500), CopyMoveConfig(max_keypoints=10**6)).places
    with_any = len(np.unique(np.floor(every.real * 12 / 500) + 1j * np.floor(every.imag * 12 / 500)))
    assert len(np.unique(cells)) == min(with_any, 144)


def test_a_reflected_descriptor_is_that_of_the_reflected_picture() -> None:
    picture = grey("camera", 300)
    plain, reflected = find_keypoints(picture, CONFIG), find_keypoints(np.ascontiguousarray(picture[:, ::-1]), CONFIG)
    there = 299 - reflected.places.real + 1j * reflected.places.imag
    distance = np.abs(plain.places[:, None] - there)
    turned = np.pi - reflected.angles
    apart = np.abs(np.angle(np.exp(1j * (plain.angles[:, None] - turned))))
    i, j = np.nonzero(
        (distance < 0.3) & (apart < 0.05) & (np.abs(np.log(plain.sizes[:, None] / reflected.sizes)) < 0.05)
    )
    assert len(i) > 100
    products = (plain.descriptors[i] * reflected.descriptors[j][:, _REFLECTED]).sum(1) / DESCRIPTOR_LENGTH**2
    assert np.median(products) > 0.97
    assert np.median((plain.descriptors[i] * reflected.descriptors[j]).sum(1) / DESCRIPTOR_LENGTH**2) < 0.9


def slow_matches(points: Keypoints, config: CopyMoveConfig) -> set[tuple[complex, complex]]:
    """Amerini's test, one keypoint at a time."""
    found = set()
    for i, place in enumerate(points.places):
        others = [j for j, other in enumerate(points.places) if abs(place - other) >= config.least_shift]
        products = points.descriptors[others].astype(np.int64) @ points.descriptors[i].astype(np.int64)
        order = np.argsort(-products, kind="stable")[: config.max_repeats + 1]
        distances = np.sqrt(np.maximum(2 - 2 * products[order] / DESCRIPTOR_LENGTH**2, 1e-6))
        for place_, distance in zip(order[:-1], distances[:-1], strict=True):
            if distance < config.max_ratio * distances[-1] and distance < config.max_distance:
                pair = (np.rint(place), np.rint(points.places[others[place_]]))
                found |= {pair, pair[::-1]}
    return found


def test_matches_are_those_of_a_slow_search() -> None:
    truth = copied(photograph("coffee", 300), angle=20)
    points = find_keypoints(np.asarray(truth.photo.convert("L")), CONFIG)
    found = match(points, CONFIG, mirrored=False)
    pairs = set(zip(np.rint(found.sources), np.rint(found.targets), strict=True))
    assert pairs == slow_matches(points, CONFIG)
    assert len(pairs) == len(found.sources) > 20


def scattered(matrix: np.ndarray, agreeing: int, others: int) -> Matches:
    """Matches that follow a transform to half a pixel, among others that follow none."""
    sources = places(agreeing + others)
    targets = moved(matrix, sources) + places(agreeing + others, seed=2, side=1.0)
    targets[agreeing:] = places(others, seed=3)
    a = nearest_similarity(matrix)
    random = np.random.default_rng(4)
    turns = np.angle(a) + random.normal(0, 0.1, len(sources))
    return Matches(
        sources=sources,
        targets=targets,
        turns=turns,
        zooms=np.log(abs(a)) + random.normal(0, 0.1, len(sources)),
        ratios=np.full(len(sources), 0.5),
        mirrored=False,
    )


def test_the_transform_is_found_among_many_wrong_matches() -> None:
    matrix = turning(40, 0.8, 220, 15)
    (best, *_) = propose(scattered(matrix, agreeing=25, others=75), CONFIG)
    assert len(best.sources) >= 24
    assert moved(best.matrix, places(9)) == pytest.approx(moved(matrix, places(9)) + 0.5 + 0.5j, abs=1.0)
    assert best.misfit < 0.6


def test_nothing_is_proposed_where_nothing_agrees() -> None:
    assert propose(scattered(turning(0, 1, 0, 0), agreeing=0, others=30), CONFIG) == []
    assert propose(scattered(turning(0, 1, 90, 0), agreeing=2, others=0), CONFIG) == []


@pytest.mark.parametrize("count", [3, 30])
def test_alignment_finds_a_fraction_of_a_pixel(count: int) -> None:
    picture = grey("astronaut", 512).astype(np.float32)
    truth = turning(8, 1.05, 270.3, 241.7)
    canvas = np.zeros((512, 512), np.float32)
    laid = laid_over(picture, truth, (20, 20, 180, 180))
    assert laid is not None
    canvas[20:180, 20:180] = laid[0] * 0.8 + 20
    both = np.where(canvas > 0, canvas, picture)
    some = 35 + 35j + places(count, seed=5, side=130.0)
    rough = truth + np.array([[0.004, -0.003, 0.9], [0.003, 0.004, -0.8]])
    aligned = align(Slopes.of(both), rough, some)
    assert aligned is not None
    matrix, score = aligned
    off = np.abs(moved(matrix, some) - moved(truth, some))
    assert np.abs(moved(rough, some) - moved(truth, some)).min() > 0.5
    assert off.max() < 0.15
    assert score > 0.95


def test_alignment_says_when_there_is_nothing_to_align() -> None:
    flat = Slopes.of(np.full((60, 60), 9, np.float32))
    assert align(flat, turning(0, 1, 20, 0), np.array([1 + 1j, 2 + 58j])) is None
    aligned = align(flat, turning(0, 1, 20, 0), np.array([20 + 20j, 30 + 30j, 25 + 30j]))
    assert aligned is not None
    assert aligned[1] == 0


def test_a_region_grows_to_all_that_was_copied() -> None:
    truth = copied(photograph("coffee"))
    picture = prepare(truth.pixels, CONFIG).canvas.astype(np.float32)
    height, width = truth.source.shape
    matrix = np.array(
        [[1, 0, round(0.7 * width) - round(0.3 * width)], [0, 1, round(0.65 * height) - round(0.35 * height)]], float
    )
    rows, columns = np.nonzero(truth.source)
    middle = np.array([columns.mean() + 1j * rows.mean()])
    box = box_around(middle, 120, picture.shape)
    assert box is not None
    grown = grow(picture, matrix, middle, box, CONFIG)
    assert grown is not None
    region = np.zeros(picture.shape, bool)
    region[box[1] : box[3], box[0] : box[2]] = grown.region
    assert (region & truth.source).sum() / (region | truth.source).sum() > 0.85


def test_what_does_not_move_is_no_copy() -> None:
    picture = grey().astype(np.float32)
    grown = grow(picture, np.eye(2, 3), np.array([100 + 100j]), (0, 0, 300, 200), CONFIG)
    assert grown is not None
    assert not grown.region.any()


def test_every_sign_has_its_weight() -> None:
    signs = CopySigns(**dict.fromkeys(CopySigns.__dataclass_fields__, 1.0))
    weights = CONFIG.weights
    assert log_odds(signs, weights) == pytest.approx(sum(vars(weights).values()))
