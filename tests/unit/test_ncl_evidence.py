"""Several kinds of evidence as one score: p-values that hold, and what a verdict says of them."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from ncl_model.architecture.config import NclConfig
from ncl_model.architecture.evidence_rule import RATES, EvidenceRule, SurpriseScale
from ncl_model.copy_move import CopiedPair, CopyMoveConfig, CopyMoveEvidence
from ncl_model.errors import ConfigInvalid
from ncl_model.inference.evidence import COPIES, Evidence
from ncl_model.inference.judging import copied_map, judged
from ncl_model.inference.scoring import Rule


def authentic(count: int = 500, seed: int = 0) -> dict[str, list[float]]:
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal(count)
    return {
        "pixels": list(shared + rng.standard_normal(count)),
        "traces": list(3 * shared - 2 * rng.standard_normal(count)),
        "copies": list(np.maximum(0, rng.standard_normal(count) - 1.2)),
    }


def slow_p_value(known: list[float], value: float) -> float:
    """The conformal p-value by its definition."""
    return (1 + sum(other >= value for other in known)) / (len(known) + 1)


def test_levels_are_those_of_the_definition() -> None:
    known = authentic()["traces"]
    scale = SurpriseScale.fit(known)
    for rate, level in zip(RATES[1:], scale.levels[1:], strict=True):
        reached = sum(value >= level for value in known)
        # a new photograph that reaches the level does so with probability `rate` at most, and no lower level does
        assert reached <= rate * (len(known) + 1)
        assert reached + 1 > rate * (len(known) + 1) - 1


@pytest.mark.parametrize("kind", ["pixels", "traces", "copies"])
def test_surprise_is_never_above_the_truth_where_it_is_known(kind: str) -> None:
    """Checked at the levels, where no interpolation helps: the p-value of the definition, but for its own count."""
    known = authentic()[kind]
    scale = SurpriseScale.fit(known)
    for rate, level in zip(RATES, scale.levels, strict=True):
        assert scale.surprise(level) <= -math.log10(rate) + 1e-9
        assert 10 ** -scale.surprise(level) >= slow_p_value(known, level) - 1.5 / len(known)


def test_surprise_rises_with_the_statistic_and_stays_within_its_bounds() -> None:
    scale = SurpriseScale.fit(authentic()["pixels"])
    seen = [scale.surprise(value) for value in np.linspace(-20, 60, 400)]
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0.0, 6.0)


def test_ties_give_no_surprise() -> None:
    """Most photographs have no copied region at all: their statistic is 0, and 0 must say nothing."""
    scale = SurpriseScale.fit([0.0] * 150 + [1.0] * 10)
    assert scale.surprise(0.0) == 0.0
    assert scale.surprise(0.5) < scale.surprise(1.0) <= -math.log10(0.05) + 1e-9


def test_a_promise_is_kept_on_photographs_that_were_not_fitted_on() -> None:
    rule = EvidenceRule.fit(authentic(600, seed=1))
    fresh = authentic(4000, seed=2)
    scores = [
        max(rule.scores(dict(zip(fresh, each, strict=True))).values()) for each in zip(*fresh.values(), strict=True)
    ]
    for rate in (0.2, 0.1, 0.05):
        assert np.mean(np.array(scores) >= 1 - rate) == pytest.approx(rate, abs=0.02)


def test_one_loud_kind_is_enough_and_a_missing_one_does_no_harm() -> None:
    rule = EvidenceRule.fit(authentic())
    quiet = {"pixels": -1.0, "traces": -4.0, "copies": 0.0}
    assert max(rule.scores(quiet).values()) < 0.5
    for kind, loud in (("pixels", 9.0), ("traces", 20.0), ("copies", 6.0)):
        scores = rule.scores({**quiet, kind: loud})
        assert max(scores, key=lambda name: scores[name]) == kind
        assert scores[kind] > 0.99
    assert "traces" not in rule.scores({"pixels": 9.0})
    assert rule.scores({}) == {}


def test_too_few_photographs_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        SurpriseScale.fit([0.0] * 50)


@pytest.mark.parametrize(
    "values",
    [None, {}, {"scales": 3, "joint": {}}, {"scales": {}, "joint": {"levels": [1, 0] * 5, "tail": 1}},
     {"scales": {}, "joint": {"levels": [0] * 10, "tail": float("nan")}}],
)  # fmt: skip
def test_a_damaged_rule_is_told(values: object) -> None:
    with pytest.raises(ConfigInvalid, match="evidence"):
        EvidenceRule.from_dict(values)


def experts(**changes: object) -> NclConfig:
    values: dict[str, object] = {
        "architecture": "experts", "compression": "dct", "head": "pooled", "grid": "estimated", "geometry": "fit",
        "copy_move": CopyMoveConfig(), "evidence": EvidenceRule.fit(authentic()), "score_rule": "evidence",
    }  # fmt: skip
    return NclConfig(**(values | changes))  # type: ignore[arg-type]


def test_the_rule_travels_in_the_config_and_moves_its_fingerprint() -> None:
    config = experts()
    again = NclConfig.from_json(config.to_json())
    assert again == config
    assert again.to_json() == config.to_json()
    assert experts(evidence=EvidenceRule.fit(authentic(seed=5))).to_json() != config.to_json()
    other = dataclasses.replace(CopyMoveConfig(), loose=0.5)
    assert experts(copy_move=other).to_json() != config.to_json()


def test_a_rule_of_evidence_needs_experts_and_numbers() -> None:
    with pytest.raises(ConfigInvalid, match="score_rule"):
        experts(evidence=None)
    with pytest.raises(ConfigInvalid, match="score_rule"):
        experts(architecture="joined", grid="fixed")


def found(statistic: float) -> CopyMoveEvidence:
    pair = CopiedPair(
        first=(0.0, 0.0, 0.25, 0.25), second=(0.5, 0.5, 0.75, 0.75), angle_deg=1.0, scale=1.0, mirrored=False,
        shift_px=(32.0, 32.0), inliers=20, zncc=0.95, residual_zncc=0.9, area_px=256, statistic=statistic,
        lines=((0.1, 0.1, 0.6, 0.6),),
    )  # fmt: skip
    heatmap = np.zeros((64, 64), np.float32)
    heatmap[:16, :16] = heatmap[32:48, 32:48] = 0.8
    return CopyMoveEvidence(statistic=statistic, level="strict", searched=True, pairs=(pair,), heatmap=heatmap)


def test_a_copy_that_authentic_photographs_do_not_show_reaches_map_score_and_document() -> None:
    config, quiet = experts(), np.full((64, 64), 0.1, np.float32)
    said = judged(config, Rule.of(config), quiet, 0.0, {"pixels": -1.0, "traces": -4.0}, found(6.0))
    assert said.evidence is not None
    assert said.score == max(said.evidence.scores.values()) == said.evidence.scores[COPIES]
    assert said.evidence.fired(0.95) == [COPIES]
    assert said.probabilities[5, 5] == pytest.approx(0.8)
    assert said.probabilities[60, 5] == pytest.approx(0.1)
    document = json.loads(json.dumps(said.evidence.to_dict()))
    assert Evidence.from_dict(document).to_dict() == said.evidence.to_dict()
    assert document["copies"][0]["inliers"] == 20


@pytest.mark.parametrize(
    ("copy_at", "expected"), [("first", (0.8, 0.36)), ("second", (0.36, 0.8)), ("nowhere", (0.8, 0.8))]
)
def test_the_network_says_which_end_is_the_copy_where_it_can(copy_at: str, expected: tuple[float, float]) -> None:
    map_ = np.full((64, 64), 0.1, np.float32)
    if copy_at != "nowhere":
        map_[(slice(0, 16),) * 2 if copy_at == "first" else (slice(32, 48),) * 2] = 0.3
    evidence = found(6.0)
    assert evidence.heatmap is not None
    shown = copied_map(evidence.heatmap, evidence.pairs, map_)
    assert (float(shown[5, 5]), float(shown[40, 40])) == pytest.approx(expected)
    assert float(shown[60, 5]) == 0
    assert float(evidence.heatmap[5, 5]) == pytest.approx(0.8), "what was given stays as it was"


def test_a_copy_that_authentic_photographs_show_too_stays_off_the_map() -> None:
    config, quiet = experts(), np.full((64, 64), 0.1, np.float32)
    said = judged(config, Rule.of(config), quiet, 0.0, {"pixels": -1.0, "traces": -4.0}, found(0.2))
    assert said.evidence is not None
    assert said.evidence.copies == ()
    assert float(said.probabilities.max()) == pytest.approx(0.1)


def test_a_photograph_too_small_to_be_searched_lacks_that_kind() -> None:
    config, quiet = experts(), np.full((20, 20), 0.1, np.float32)
    nothing = dataclasses.replace(found(0.0), searched=False, pairs=(), heatmap=None)
    said = judged(config, Rule.of(config), quiet, 0.0, {"pixels": -1.0, "traces": -4.0}, nothing)
    assert said.evidence is not None
    assert set(said.evidence.scores) == {"pixels", "traces"}
    assert said.evidence.untestable == {"copies": "too_small"}


def test_without_a_fitted_rule_the_head_speaks_and_the_statistics_are_there_to_fit_one() -> None:
    config = experts(evidence=None, score_rule="head")
    said = judged(config, Rule.of(config), np.zeros((64, 64), np.float32), 2.0, {"pixels": 1.0}, found(6.0))
    assert said.score == pytest.approx(1 / (1 + math.exp(-2.0)))
    assert said.evidence is None
    assert said.statistics == {"pixels": 1.0, COPIES: 6.0}


def test_traces_are_not_judged_where_no_grid_is() -> None:
    """A photograph resized and saved without loss has no blocks: what the expert sees there is no evidence."""
    config, quiet = experts(), np.full((64, 64), 0.1, np.float32)
    loud = {"pixels": -1.0, "traces": 40.0}
    with_grid, without = (judged(config, Rule.of(config), quiet, 0.0, loud, found(0.0), s) for s in (25.0, 2.0))
    assert with_grid.evidence is not None
    assert without.evidence is not None
    assert (with_grid.evidence.fired(0.95), without.evidence.fired(0.95)) == (["traces"], [])
    assert without.evidence.untestable == {"traces": "no_grid"}
    assert Evidence.from_dict(without.evidence.to_dict()).untestable == without.evidence.untestable
