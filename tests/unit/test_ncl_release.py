"""From a run's weights to a file to ship: logit shift, score rule and calibration, chosen on held-out groups."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from support.data_sets import make_authentic, make_indexed, save_as_jpeg
from support.tiny_model import save_lively_model
from support.training_material import TINY

from ncl_model.architecture.network import NclNetwork
from ncl_model.evaluation.equal_saving import EqualSaving
from ncl_model.evaluation.evaluation_run import read_sets
from ncl_model.evaluation.records import judge
from ncl_model.inference.calibration import Calibration
from ncl_model.inference.checkpoint import Checkpoint, load_checkpoint, pack_weights, save_checkpoint
from ncl_model.inference.predictor import Predictor
from ncl_model.release import held_out_parts
from ncl_model.release import main as release_main


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_lively_model(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


def test_release_chooses_on_validation_and_stores_the_calibration(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labelled = make_indexed(tmp_path / "labelled", count=24)
    others = make_authentic(tmp_path / "others", count=12)
    more = make_authentic(tmp_path / "more", count=5, seed=300)
    run = tmp_path / "run.safetensors"
    recipe = {"held_out": 0.5, "seed": 1}
    save_checkpoint(run, dataclasses.replace(load_checkpoint(weights), provenance={"recipe": recipe}))
    out = tmp_path / "shipped.safetensors"
    command = ["--run", str(run), "--data", str(labelled), "--data", str(others), "--authentic", str(more)]

    assert release_main([*command, "--out", str(out), "--version", "7"]) == 0

    told = capsys.readouterr()
    report = json.loads(told.out)
    assert "head" not in told.err
    assert told.err.count("\n") == 1 + 16 + 1
    assert "AUC, resaved" in told.err
    shipped = load_checkpoint(out)
    shipped.build(out)
    assert shipped.version == "7"
    calibration = Calibration.from_dict(shipped.calibration)
    assert set(calibration.sources) == {f"{tmp_path.name}/{name}" for name in ("labelled", "others", "more")}
    assert calibration.sources[f"{tmp_path.name}/more"] == 5  # none of them was trained on: all count
    assert calibration.sources[f"{tmp_path.name}/others"] < 12
    assert calibration.photographs == sum(calibration.sources.values())
    # of the labelled set, the authentic ones alone
    assert calibration.sources[f"{tmp_path.name}/labelled"] == shipped.metrics["validation"]["authentic"]
    chosen = shipped.provenance["chosen_on_validation"]
    assert chosen["score_rule"] == calibration.rule == str(Predictor.setup(out).rule)
    assert len(chosen["score_rules"]) == 16
    assert shipped.metrics["validation"]["tampered"] > 0
    assert shipped.metrics["suggested_threshold"]["fpr_0.20"] <= shipped.metrics["suggested_threshold"]["fpr_0.05"]
    assert "cannot be promised" in report["max_fpr"]["0.01"]
    # the calibration speaks of the scores that the shipped file gives
    ready = Predictor.setup(out)
    scores = [judge(ready, sample, "x").score for sample in read_sets([more])[0].samples]
    assert set(scores) <= {score for score, _ in calibration.knots}
    assert not calibration.resaved  # no tampered file is a JPEG, so nothing says how to save once more


def test_the_calibration_holds_for_photographs_that_were_saved_once_more(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labelled = save_as_jpeg(make_indexed(tmp_path / "labelled", count=24), {True: 40, False: 95})
    others = make_authentic(tmp_path / "others", count=12)
    run, out = tmp_path / "run.safetensors", tmp_path / "shipped.safetensors"
    recipe = {"held_out": 0.5, "seed": 1}
    save_checkpoint(run, dataclasses.replace(load_checkpoint(weights), provenance={"recipe": recipe}))

    assert release_main(["--run", str(run), "--data", str(labelled), "--data", str(others), "--out", str(out)]) == 0

    calibration = Calibration.from_dict(load_checkpoint(out).calibration)
    parts = [part for kind in held_out_parts([labelled, others], held_out=0.5, seed=1) for part in kind]
    saving = EqualSaving.like([sample for part in parts for sample in part.samples])
    ready = Predictor.setup(out)
    untouched = [sample for part in parts for sample in part.samples if sample.mask is None]
    pairs = [(judge(ready, sample, "x").score, judge(ready, sample, "x", saving).score) for sample in untouched]
    assert calibration.resaved
    assert any(again > once for once, again in pairs)
    larger = sorted((max(pair) for pair in pairs), reverse=True)
    assert [calibration.reached(score) for score in larger] == list(range(1, len(larger) + 1))
    assert "as they are or saved once more" in json.loads(capsys.readouterr().out)["max_fpr"]["0.2"]


def test_release_compares_the_head_and_takes_the_rule_that_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = dataclasses.replace(TINY, head="pooled")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        packed = pack_weights(NclNetwork(config).state_dict())
    run, out = tmp_path / "run.safetensors", tmp_path / "shipped.safetensors"
    provenance = {"recipe": {"held_out": 0.5, "seed": 1}}
    save_checkpoint(run, Checkpoint(config=config, weights=packed, name="headed", version="0", provenance=provenance))
    labelled = save_as_jpeg(make_indexed(tmp_path / "labelled", count=24), {True: 50, False: 95})
    command = ["--run", str(run), "--data", str(labelled), "--out", str(out)]

    assert release_main([*command, "--rule", "head"]) == 0

    shipped = load_checkpoint(out)
    chosen = shipped.provenance["chosen_on_validation"]
    assert (shipped.config.score_rule, chosen["score_rule"], chosen["score_rule_criterion"]) == (
        "head",
        "head",
        "as asked",
    )
    rules = {each["rule"]: each for each in chosen["score_rules"]}
    assert len(rules) == 18
    assert sum(name.startswith("head + ") for name in rules) == 1
    assert rules["head"]["resaved_auc"] is not None
    assert rules["head"]["recall_at_fpr5_of_all"] is None  # no photographs of other cameras were given
    (sample, *_) = read_sets([labelled])[0].samples
    ready = Predictor.setup(out)
    image = ready.decode(sample.image.read_bytes())
    head = ready.ask(image.pixels[None], [(image.valid_height, image.valid_width)]).head
    assert head is not None
    assert ready.localize([image])[0].score == pytest.approx(1 / (1 + math.exp(-float(head[0]))), abs=1e-6)
    capsys.readouterr()
    assert release_main([*command, "--rule", "best"]) == 2
    assert "'best' is not one of top_mean 0.001, " in capsys.readouterr().err


def test_release_makes_a_timid_network_bolder(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its maps seldom reach 0.5; what is added to the last logit is in the weights, and in the figures."""
    bias = "decoder.stride1.head.bias"
    loaded = load_checkpoint(weights)
    labelled = make_indexed(tmp_path / "labelled", count=24)
    predictor = Predictor.setup(weights)
    canvases = [predictor.decode(s.image.read_bytes()).pixels[None] for s in read_sets([labelled])[0].samples]
    typical = float(np.median([np.median(predictor.predict(canvas)[0, :32, :48]) for canvas in canvases]))
    timid = loaded.weights[bias] - math.log(typical / (1 - typical)) - 0.9
    run, out = tmp_path / "run.safetensors", tmp_path / "shipped.safetensors"
    recipe = {"recipe": {"held_out": 0.5, "seed": 1}}
    changed = dataclasses.replace(loaded, weights={**loaded.weights, bias: timid}, provenance=recipe)
    save_checkpoint(run, changed)

    assert release_main(["--run", str(run), "--data", str(labelled), "--out", str(out)]) == 0

    shift = json.loads(capsys.readouterr().out)["logit_shift"]
    assert shift > 0
    shipped = load_checkpoint(out)
    assert float(shipped.weights[bias]) == pytest.approx(float(timid) + shift, abs=1e-6)
    figures = shipped.provenance["chosen_on_validation"]["logit_shift_pixel_f1"]
    assert shipped.metrics["validation"]["pixel_f1"] == pytest.approx(figures[str(shift)], abs=1e-3)


def test_release_without_one_of_the_classes_says_what_is_missing(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run.safetensors"
    recipe = {"held_out": 0.5, "seed": 1}
    save_checkpoint(run, dataclasses.replace(load_checkpoint(weights), provenance={"recipe": recipe}))
    others = make_authentic(tmp_path / "others", count=8)
    assert release_main(["--run", str(run), "--data", str(others), "--out", str(tmp_path / "x")]) == 1
    assert "no tampered image" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
