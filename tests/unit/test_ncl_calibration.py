"""False-positive rates: that a promise is kept on photographs it was not fitted on, and what cannot be promised."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from ncl_model.errors import CalibrationInvalid, CalibrationMissing, CalibrationTooCoarse
from ncl_model.imaging.benign import BENIGN
from ncl_model.inference.calibration import Calibration
from ncl_model.intervals import group_bootstrap, upper_bound

SCORES = st.lists(st.integers(0, 50).map(lambda n: n / 50), min_size=1, max_size=60)


def fitted(scores: list[float] | np.ndarray) -> Calibration:
    values = np.asarray(scores, dtype=np.float64)
    return Calibration.fit(values, sources={"set/a": len(values)}, rule="top_mean 0.01")


@given(SCORES, st.floats(0.001, 1))
def test_a_threshold_never_lets_more_through_than_asked(scores: list[float], rate: float) -> None:
    calibration = fitted(scores)
    if rate < calibration.least_rate:
        with pytest.raises(CalibrationTooCoarse):
            calibration.policy(rate)
        return
    policy = calibration.policy(rate)
    reached = int((np.float32(scores) >= policy.threshold).sum())
    assert reached == policy.reached == calibration.reached(policy.threshold)
    assert calibration.rate(policy.threshold) <= rate + 1e-9
    assert 0 <= policy.threshold <= 1
    if policy.threshold:  # and it is the smallest that does: the next lower score would let too many through
        lower = np.nextafter(np.float32(policy.threshold), np.float32(0))
        assert calibration.rate(float(lower)) > rate


@given(SCORES)
def test_the_rate_never_rises_with_the_score(scores: list[float]) -> None:
    calibration = fitted(scores)
    rates = [calibration.rate(score) for score in np.linspace(0, 1, 41)]
    assert rates == sorted(rates, reverse=True)
    assert all(0 < rate <= 1 for rate in rates)
    for score in scores:
        reached = int((np.float32(scores) >= np.float32(score)).sum())
        assert calibration.rate(float(np.float32(score))) == pytest.approx((reached + 1) / (len(scores) + 1))


def test_a_promise_is_kept_on_photographs_it_was_not_fitted_on() -> None:
    """Over many calibrations of 99 photographs, the rate on new ones is at most what was asked, and close to it."""
    rng = np.random.default_rng(0)
    for rate in (0.02, 0.05, 0.2):
        kept = [
            (np.float32(rng.beta(2, 5, 400)) >= fitted(rng.beta(2, 5, 99)).policy(rate).threshold).mean()
            for _ in range(300)
        ]
        assert 0.8 * rate < np.mean(kept) < rate + 2 * np.std(kept) / np.sqrt(len(kept))


def test_the_upper_bound_holds_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    held = []
    for _ in range(300):
        policy = fitted(rng.random(120)).policy(0.1)  # uniform: the true rate is 1 - threshold
        held.append(1 - policy.threshold <= policy.upper_bound)
    assert np.mean(held) > 0.92


def test_what_few_photographs_cannot_promise_is_refused_and_the_least_is_named() -> None:
    calibration = fitted(np.linspace(0.1, 0.9, 99))
    assert calibration.least_rate == pytest.approx(0.01)
    assert calibration.policy(0.01).reached == 0
    with pytest.raises(CalibrationTooCoarse, match=r"99 authentic photographs, so the least is 0\.01") as raised:
        calibration.policy(0.009)
    assert calibration.policy(raised.value.least).threshold > 0.9
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
    assert str(pickle.loads(pickle.dumps(CalibrationMissing("w")))) == str(CalibrationMissing("w"))
    with pytest.raises(CalibrationTooCoarse):
        calibration.policy(float("nan"))


def test_authentic_photographs_with_the_highest_score_there_is_leave_no_threshold_above_them() -> None:
    calibration = fitted([1.0, 1.0, 0.2, 0.1])
    assert calibration.least_rate == pytest.approx(3 / 5)
    policy = calibration.policy(0.6)
    assert policy.reached == 2
    assert 0.2 < policy.threshold < 0.21


def test_equal_scores_are_flagged_together_or_not_at_all() -> None:
    calibration = fitted([0.5] * 10)
    policy = calibration.policy(0.5)
    assert policy.reached == 0
    assert 0.5 < policy.threshold < 0.501
    assert calibration.policy(1.0).threshold == 0.0


def test_the_suggestion_for_a_rate_out_of_reach_is_the_least_there_is() -> None:
    calibration = fitted([0.2, 0.4, 0.6])
    assert calibration.suggested(0.05) == calibration.policy(0.25).threshold
    assert calibration.suggested(0.5) == calibration.policy(0.5).threshold


def test_a_calibration_survives_the_metadata() -> None:
    calibration = fitted(np.random.default_rng(0).random(500))
    again = Calibration.from_dict(json.loads(json.dumps(calibration.to_dict(), allow_nan=False)))
    assert again == calibration
    assert again.policy(0.03) == calibration.policy(0.03)
    assert "500" in str(again.policy(0.03))


@pytest.mark.parametrize(
    ("rule", "resaved", "words"),
    [
        ("evidence", True, " reach it, as they are or after any of eight benign operations ("),
        ("head", True, " reach it, as they are or saved once more ("),
        ("head", False, " reach it ("),
    ],
)
def test_a_promise_names_the_states_it_was_fitted_on(rule: str, resaved: bool, words: str) -> None:
    assert len(BENIGN) == 8
    calibration = Calibration.fit(np.linspace(0.1, 0.9, 99), sources={"made-up": 99}, rule=rule, resaved=resaved)
    policy = calibration.policy(0.05)
    assert words in str(policy)
    # jobs keep it, and a request is known again by it
    assert set(policy.to_dict()) == {"threshold", "max_fpr", "reached", "photographs", "resaved", "upper_bound"}
    assert set(calibration.to_dict()) == {"format", "photographs", "sources", "rule", "knots", "resaved"}


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"knots": []},
        {"knots": [[0.5, 1], [0.6, 2]]},
        {"knots": [[0.5, 2], [0.4, 1]]},
        {"knots": [[1.5, 1], [0.4, 2]]},
        {"knots": [[float("nan"), 1], [0.4, 2]]},
        {"knots": [[0.5, 1]]},
        {"knots": "none"},
        {"photographs": "many"},
        {"sources": 3},
    ],
    ids=str,
)
def test_metadata_that_is_no_calibration_is_refused(change: dict[str, object]) -> None:
    good = fitted([0.5, 0.4]).to_dict()
    Calibration.from_dict(good)
    with pytest.raises(CalibrationInvalid, match="calibration"):
        Calibration.from_dict({**good, **change})
    with pytest.raises(CalibrationInvalid):
        Calibration.from_dict({})


def test_without_photographs_nothing_is_fitted() -> None:
    with pytest.raises(ValueError, match="no authentic"):
        fitted([])


# --- intervals ---


@pytest.mark.parametrize(("hits", "trials"), [(0, 1), (0, 246), (1, 246), (11, 246), (245, 246), (246, 246), (0, 0)])
def test_the_bound_is_clopper_and_pearsons(hits: int, trials: int) -> None:
    expected = 1.0 if hits == trials else beta.ppf(0.95, hits + 1, trials - hits)
    assert upper_bound(hits, trials) == pytest.approx(expected, abs=1e-9)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="no count"):
        upper_bound(3, 2)


def test_a_bootstrap_draws_whole_groups_and_the_same_ones_every_time() -> None:
    groups = ["a"] * 30 + ["b"] * 30 + ["c"] * 30 + ["d"] * 30
    values = np.repeat([0.0, 1.0, 2.0, 3.0], 30)

    def mean(positions: np.ndarray) -> float:
        assert len(positions) % 30 == 0
        return float(values[positions].mean())

    (interval,) = group_bootstrap(groups, {"mean": mean}).values()
    assert interval == group_bootstrap(groups, {"mean": mean})["mean"]
    assert interval != group_bootstrap(groups, {"mean": mean}, seed=1)["mean"]
    single = group_bootstrap([str(i) for i in range(120)], {"mean": lambda p: float(values[p].mean())})["mean"]
    assert interval[1] - interval[0] > 3 * (single[1] - single[0])  # four sources tell less than 120 would


def test_an_interval_needs_two_groups_and_a_figure_that_is_defined() -> None:
    assert all(np.isnan(group_bootstrap(["a", "a"], {"mean": lambda p: 1.0})["mean"]))
    assert all(np.isnan(group_bootstrap(["a", "b"], {"none": lambda p: float("nan")})["none"]))
    half = group_bootstrap(["a", "b"], {"some": lambda p: 1.0 if 0 in p else float("nan")})["some"]
    assert half == (1.0, 1.0)
