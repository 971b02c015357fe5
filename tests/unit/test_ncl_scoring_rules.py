"""From map and head to one score: what each rule measures, that the predictor follows it, which one is chosen."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from ncl_model.architecture.config import NclConfig
from ncl_model.architecture.network import ImageHead, NclNetwork
from ncl_model.errors import ConfigInvalid
from ncl_model.evaluation.selection import (
    HEAD,
    MAP_RULES,
    Judged,
    RuleFigures,
    choose_rule,
    choose_shift,
    compare_rules,
    scores_of,
    shifted,
)
from ncl_model.inference.checkpoint import Checkpoint, load_checkpoint, pack_weights, save_checkpoint, shipped_weights
from ncl_model.inference.predictor import Predictor
from ncl_model.inference.scoring import Rule, area_score, image_score, mean_logit, peak_score

TINY = NclConfig(
    backbone="resnet18", width=8, output_stride=16, aspp_channels=8, decoder_channels=8, geometry="fit", input_size=128
)
MAPS = hnp.arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(0, 1, width=32))


def region(side: int, value: float, ground: float = 0.0, size: int = 64) -> NDArray[np.float32]:
    probabilities = np.full((size, size), ground, np.float32)
    probabilities[10 : 10 + side, 20 : 20 + side] = value
    return probabilities


# --- rules ---


@given(MAPS)
def test_every_rule_gives_a_score_between_0_and_1(probabilities: NDArray[np.float32]) -> None:
    scores = scores_of(probabilities)
    assert set(scores) == set(MAP_RULES)
    assert all(0 <= score <= 1 for score in scores.values())


def test_area_is_the_side_of_what_is_suspect() -> None:
    assert area_score(region(16, 1.0), cutoff=0.5) == pytest.approx(16 / 64)
    assert area_score(region(16, 0.64), cutoff=0.5) == pytest.approx(16 / 64 * 0.8)
    assert area_score(region(16, 0.49), cutoff=0.5) == 0.0
    assert area_score(region(16, 0.35), cutoff=0.35) > 0  # the cut-off itself counts, in float32 too


def test_a_peak_is_a_region_and_not_a_speck() -> None:
    assert peak_score(region(1, 1.0), window=8) == pytest.approx(1 / 64)
    assert peak_score(region(8, 0.9), window=8) == pytest.approx(0.9, abs=1e-6)
    assert peak_score(region(8, 0.9, size=30), window=99) == pytest.approx(64 * 0.9 / 900, abs=1e-6)
    with pytest.raises(ValueError, match="not empty"):
        peak_score(np.zeros((0, 3), np.float32), window=8)


@given(MAPS, st.integers(1, 12))
def test_the_peak_is_the_best_window_of_all(probabilities: NDArray[np.float32], window: int) -> None:
    h, w = min(window, probabilities.shape[0]), min(window, probabilities.shape[1])
    means = [
        probabilities[y : y + h, x : x + w].mean(dtype=np.float64)
        for y in range(probabilities.shape[0] - h + 1)
        for x in range(probabilities.shape[1] - w + 1)
    ]
    assert peak_score(probabilities, window=window) == pytest.approx(max(means), abs=1e-9)


def test_both_is_the_mean_of_the_logits() -> None:
    assert mean_logit(0.8, 0.2) == pytest.approx(0.5)
    assert mean_logit(0.9, 0.9) == pytest.approx(0.9)
    assert 0.5 < mean_logit(1.0, 0.5) < 1  # certainty of one does not silence the other
    rule = Rule(map_rule="top_mean", number=0.01, head=True)
    probabilities = region(16, 0.9)
    assert rule.score(probabilities, 0.0) == pytest.approx(
        mean_logit(image_score(probabilities, top_fraction=0.01), 0.5)
    )
    with pytest.raises(ValueError, match="image head"):
        rule.score(probabilities)


# --- rules in the config ---


@pytest.mark.parametrize("rule", [*MAP_RULES, HEAD, *(dataclasses.replace(r, head=True) for r in MAP_RULES)], ids=str)
def test_a_rule_survives_the_config(rule: Rule) -> None:
    config = rule.set_in(dataclasses.replace(TINY, head="pooled"))
    assert Rule.of(NclConfig.from_json(config.to_json())) == rule


def test_a_rule_that_needs_the_head_needs_a_head() -> None:
    with pytest.raises(ConfigInvalid, match="head"):
        HEAD.set_in(TINY)
    for field, value in (("score_rule", "best"), ("score_cutoff", 1.0), ("score_window", 0)):
        with pytest.raises(ConfigInvalid, match=field):
            dataclasses.replace(TINY, **{field: value})


def test_fields_of_later_versions_leave_old_fingerprints_alone() -> None:
    """Weights written before there were rules have none of these fields, and must stay the same model."""
    assert not {"score_rule", "score_cutoff", "score_window", "head"} & set(json.loads(TINY.to_json()))
    assert "score_rule" in json.loads(dataclasses.replace(TINY, score_rule="peak").to_json())
    shipped = load_checkpoint(shipped_weights())
    again = dataclasses.replace(shipped, config=NclConfig.from_json(shipped.config.to_json()))
    assert again.fingerprint("float32") == shipped.fingerprint("float32")


# --- the predictor ---


def saved(folder: Path, config: NclConfig) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        network = NclNetwork(config)
        for head in network.decoder.heads():
            torch.nn.init.normal_(head.weight, std=1.0)
    path = folder / "tiny.safetensors"
    save_checkpoint(path, Checkpoint(config=config, weights=pack_weights(network.state_dict()), name="t", version="1"))
    return path


@pytest.mark.parametrize("rule", [*MAP_RULES[::5], HEAD, dataclasses.replace(MAP_RULES[-1], head=True)], ids=str)
def test_the_predictor_scores_by_the_configs_rule(rule: Rule, tmp_path: Path) -> None:
    predictor = Predictor.setup(saved(tmp_path, rule.set_in(dataclasses.replace(TINY, head="pooled"))))
    canvas = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), dtype=np.uint8)
    sizes = [(64, 96), (40, 70)]
    answer = predictor.ask(canvas, sizes)
    assert answer.head is not None
    expected = [
        rule.score(m[:h, :w], float(logit)) for m, logit, (h, w) in zip(answer.maps, answer.head, sizes, strict=True)
    ]
    np.testing.assert_allclose(predictor.predict_batch(canvas, sizes)[0], expected, atol=1e-6)


def test_the_head_sees_the_photograph_and_not_its_padding(tmp_path: Path) -> None:
    head = ImageHead(8)
    features = torch.rand(2, 8, 4, 6)
    alone = torch.cat([head(features[:1, :, :3, :5]), head(features[1:])])
    torch.testing.assert_close(head(features, [(3, 5), (4, 6)]), alone)

    predictor = Predictor.setup(saved(tmp_path, dataclasses.replace(TINY, head="pooled", score_rule="head")))
    canvas = np.random.default_rng(0).integers(0, 256, (1, 64, 128, 3), dtype=np.uint8)
    whole, part = predictor.ask(canvas).head, predictor.ask(canvas, [(40, 70)]).head
    assert whole is not None
    assert part is not None
    assert whole[0] != part[0]


def test_a_network_without_a_head_says_so(tmp_path: Path) -> None:
    predictor = Predictor.setup(saved(tmp_path, TINY))
    assert predictor.ask(np.zeros((1, 64, 64, 3), np.uint8)).head is None


# --- choices on validation images ---


def test_shifting_probabilities_is_adding_to_logits() -> None:
    logits = torch.linspace(-9, 9, 40)
    expected = torch.sigmoid(logits + 1.5).numpy()
    np.testing.assert_allclose(shifted(torch.sigmoid(logits).numpy(), 1.5), expected, atol=1e-6)
    assert shifted(np.array([0.0, 1.0], dtype=np.float32), 2.0).tolist() == [0.0, 1.0]


def test_the_smallest_shift_that_is_as_good_is_chosen() -> None:
    mask = np.zeros((10, 10), np.bool_)
    mask[:3] = True
    timid = np.where(mask, 0.35, 0.05).astype(np.float32)
    authentic = Judged(probabilities=timid, mask=None)
    shift, figures = choose_shift(iter([Judged(probabilities=timid, mask=mask), authentic]))
    assert shift == 0.75
    assert (figures[0.0], figures[0.75]) == (0.0, 1.0)
    # one pixel in a thousand more is no reason to be bolder
    larger = np.zeros((100, 100), np.bool_)
    larger[:30] = True
    almost = np.where(larger, 0.6, 0.05).astype(np.float32)
    almost[0, :2] = 0.2
    shift, figures = choose_shift([Judged(probabilities=almost, mask=larger)])
    assert max(figures.values()) > figures[0.0]
    assert shift == 0.0
    with pytest.raises(ValueError, match="no tampered"):
        choose_shift([authentic])


def validation(head_knows: bool) -> tuple[dict[Rule, list[float]], list[float], list[bool], list[str]]:
    """Maps in which a region tells, and one loud pixel everywhere does not; 60 images in 12 groups."""
    rng = np.random.default_rng(0)
    scores: dict[Rule, list[float]] = {rule: [] for rule in MAP_RULES}
    head, labels = [], []
    for number in range(60):
        probabilities = (rng.random((40, 40)) * 0.2).astype(np.float32)
        probabilities[0, :2] = rng.random()
        tampered = number % 2 == 0
        if tampered:
            probabilities[5:13, 5:13] = 0.4 + 0.2 * rng.random()
        for rule, score in scores_of(probabilities).items():
            scores[rule].append(score)
        labels.append(tampered)
        head.append(float(np.clip(tampered * head_knows * 0.5 + rng.random() * 0.5, 0, 1)))
    return scores, head, labels, [f"g{number // 5}" for number in range(60)]


def test_the_rule_that_ranks_best_is_chosen() -> None:
    scores, _, labels, groups = validation(False)
    compared = compare_rules(scores, labels, groups, rounds=50)
    assert [figures.rule for figures in compared] == list(MAP_RULES)
    by_rule = {figures.rule: figures for figures in compared}
    chosen = choose_rule(compared)
    assert chosen.image_auc == 1.0
    assert chosen.recall_at_fpr5 == 1.0
    assert by_rule[Rule(map_rule="top_mean", number=0.001)].image_auc < 0.8  # hangs on the loud pixels
    low, high = by_rule[MAP_RULES[0]].intervals["image_auc"]
    assert low < by_rule[MAP_RULES[0]].image_auc < high
    json.dumps(chosen.to_dict(), allow_nan=False)


def test_the_head_joins_alone_and_with_the_best_map_rule() -> None:
    scores, head, labels, groups = validation(True)
    compared = compare_rules({**scores, HEAD: head}, labels, groups, rounds=0)
    extra = [figures.rule for figures in compared[len(MAP_RULES) :]]
    best = choose_rule(compared[: len(MAP_RULES)]).rule
    assert extra == [HEAD, dataclasses.replace(best, head=True)]


def test_more_authentic_images_have_figures_of_their_own() -> None:
    """A head that knows the labelled set alone: it alarms on photographs of other cameras, and on resaved ones."""
    scores, head, labels, groups = validation(True)
    calm = {rule: [0.3] * 30 for rule in MAP_RULES}  # between the authentic and the tampered ones, by region
    others = {**calm, HEAD: [1.0] * 30}
    compared = compare_rules({**scores, HEAD: head}, labels, groups, others=others, resaved=others, rounds=0)
    by_rule = {figures.rule: figures for figures in compared}
    alarmed, quiet = by_rule[HEAD], by_rule[Rule(map_rule="peak", number=8)]
    assert (alarmed.image_auc, alarmed.resaved_auc, alarmed.recall_at_fpr5_of_all) == (1.0, 0.0, 0.0)
    assert (quiet.resaved_auc, quiet.recall_at_fpr5_of_all) == (1.0, 1.0)
    without = compare_rules(scores, labels, groups, rounds=0)[0]
    assert without.to_dict()["resaved_auc"] is None


def test_near_the_best_auc_the_recall_decides() -> None:
    def figures(number: float, area: float, recall: float) -> RuleFigures:
        rule = Rule(map_rule="top_mean", number=number)
        return RuleFigures(rule=rule, image_auc=area, recall_at_fpr1=0, recall_at_fpr5=recall, intervals={})

    high, near, far = figures(0.1, 0.85, 0.3), figures(0.2, 0.846, 0.4), figures(0.3, 0.80, 0.9)
    assert choose_rule([high, near, far]) == near
    assert choose_rule([high, figures(0.4, 0.85, 0.3)]) == high  # equal: the earlier


def test_what_tells_only_how_files_were_saved_is_not_chosen() -> None:
    def figures(number: float, area: float, resaved: float, of_all: float) -> RuleFigures:
        rule = Rule(map_rule="top_mean", number=number)
        return RuleFigures(
            rule=rule,
            image_auc=area,
            recall_at_fpr1=0,
            recall_at_fpr5=area,
            resaved_auc=resaved,
            recall_at_fpr5_of_all=of_all,
            intervals={},
        )

    shortcut, honest, calm = figures(0.1, 1.0, 0.6, 0.9), figures(0.2, 0.9, 0.8, 0.3), figures(0.3, 0.9, 0.797, 0.4)
    assert choose_rule([shortcut, honest]) == honest
    assert choose_rule([shortcut, honest, calm]) == calm


def test_without_both_classes_nothing_can_be_chosen() -> None:
    scores, _, labels, groups = validation(False)
    with pytest.raises(ValueError, match="tampered and authentic"):
        compare_rules(scores, [True] * len(labels), groups)
