"""The figures, held against scikit-learn and against their definitions where scikit-learn has none."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import f1_score, jaccard_score, roc_auc_score, roc_curve

from ncl_model.metrics import auc, pixel_f1, pixel_iou, recall_at_fpr, threshold_at_fpr

KINDS = ("fine", "ties", "float16", "saturated", "coarse")


def random_case(
    kind: str, seed: int, shape: tuple[int, ...] = (61, 47)
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """A map that knows a little about its mask, in the ways maps come."""
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < rng.uniform(0.02, 0.9)
    values = 1 / (1 + np.exp(-(rng.normal(size=shape) * 3 + mask)))
    if kind == "ties":
        return np.round(values, 1).astype(np.float32), mask
    if kind == "float16":
        return values.astype(np.float16), mask
    if kind == "saturated":
        return np.clip(values * 3 - 1, 0, 1).astype(np.float32), mask
    if kind == "coarse":
        return (values > 0.4).astype(np.float64), mask
    return values.astype(np.float32), mask


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(8))
def test_pixel_figures_agree_with_scikit_learn(kind: str, seed: int) -> None:
    values, mask = random_case(kind, seed)
    flat, truth = values.ravel().astype(np.float64), mask.ravel()
    assert auc(values, mask) == pytest.approx(roc_auc_score(truth, flat), abs=1e-6)
    assert pixel_f1(values, mask) == pytest.approx(f1_score(truth, flat >= 0.5), abs=1e-6)
    assert pixel_iou(values, mask) == pytest.approx(jaccard_score(truth, flat >= 0.5), abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fpr", [0.0, 0.01, 0.05, 0.2, 0.999, 1.0])
def test_recall_at_a_rate_is_the_best_point_of_the_roc_curve(kind: str, fpr: float) -> None:
    for seed in range(6):
        scores, labels = random_case(kind, seed, (173,))
        rates, recalls, _ = roc_curve(labels, scores.astype(np.float64), drop_intermediate=False)
        assert recall_at_fpr(scores, labels, fpr) == pytest.approx(recalls[rates <= fpr + 1e-12].max(), abs=1e-6)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=40))
def test_auc_is_the_chance_that_a_positive_outranks_a_negative(pairs: list[tuple[int, bool]]) -> None:
    scores = np.array([value / 6 for value, _ in pairs])
    labels = np.array([label for _, label in pairs])
    wins = [(p > n) + (p == n) / 2 for p in scores[labels] for n in scores[~labels]]
    if wins:
        assert auc(scores, labels) == pytest.approx(np.mean(wins), abs=1e-12)
    else:
        assert math.isnan(auc(scores, labels))


def test_maps_that_are_all_equal_are_a_coin() -> None:
    mask = np.zeros((8, 8), np.bool_)
    mask[:2] = True
    assert auc(np.full((8, 8), 0.3, np.float32), mask) == 0.5
    assert pixel_f1(np.full((8, 8), 0.3, np.float32), mask) == 0.0
    assert pixel_iou(np.full((8, 8), 0.5, np.float32), mask) == 0.25  # 0.5 itself counts as found


def test_without_one_of_the_classes_a_figure_is_undefined_not_good() -> None:
    values = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)
    none, every = np.zeros((4, 4), np.bool_), np.ones((4, 4), np.bool_)
    for labels in (none, every):
        assert math.isnan(auc(values, labels))
        assert math.isnan(recall_at_fpr(values.ravel(), labels.ravel(), 0.05))
    assert pixel_f1(values, none) == 0.0  # something was found where nothing is
    assert pixel_iou(values, none) == 0.0
    assert math.isnan(pixel_f1(values * 0, none))
    assert math.isnan(pixel_iou(values * 0, none))
    assert pixel_f1(values * 0, every) == 0.0


def test_what_has_no_rank_or_no_partner_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        auc(np.array([0.1, np.nan]), np.array([True, False]))
    with pytest.raises(ValueError, match="shape"):
        auc(np.zeros((2, 2)), np.zeros((2, 3), np.bool_))
    with pytest.raises(ValueError, match="shape"):
        pixel_f1(np.zeros((2, 2)), np.zeros((2, 3), np.bool_))
    with pytest.raises(ValueError, match="no authentic"):
        threshold_at_fpr(np.array([]), 0.05)


def test_a_threshold_holds_its_rate_on_the_scores_it_was_taken_from() -> None:
    scores = np.round(np.random.default_rng(1).random(333), 2)  # with ties
    for fpr in (0.0, 0.003, 0.05, 0.2, 0.5):
        threshold = threshold_at_fpr(scores, fpr)
        assert (scores > threshold).mean() <= fpr
        below = scores[scores < threshold].max()
        assert (scores > below).mean() > fpr


def test_a_large_map_takes_no_time_worth_mentioning() -> None:
    values, mask = random_case("fine", 0, (512, 512))
    started = time.perf_counter()
    auc(values, mask)
    assert time.perf_counter() - started < 1.0  # about 0.01 s; by pairs it would be hours
