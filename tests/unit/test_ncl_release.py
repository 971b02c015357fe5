"""From a run's weights to a file to ship: logit shift, score rule and calibration, chosen on held-out groups."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from support.data_sets import make_authentic, make_indexed, save_as_jpeg, save_photo
from support.tiny_model import save_lively_model
from support.training_material import TINY, TINY_EXPERTS

from ncl_model.architecture.config import NclConfig
from ncl_model.architecture.registry import build_network
from ncl_model.evaluation.doubts import doubts_about
from ncl_model.evaluation.equal_saving import EqualSaving
from ncl_model.evaluation.evaluation_run import read_sets
from ncl_model.evaluation.figures import Evaluation
from ncl_model.evaluation.records import judge, read_mask
from ncl_model.evaluation.selection import SHIFTS, Judged, choose_shift
from ncl_model.inference.calibration import Calibration
from ncl_model.inference.checkpoint import Checkpoint, load_checkpoint, pack_weights, save_checkpoint
from ncl_model.inference.predictor import Predictor
from ncl_model.inference.scoring import Rule
from ncl_model.release import main as release_main
from ncl_model.release_request import held_out_parts


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_lively_model(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


def made_run(weights: Path, folder: Path, *, typical: float = 0.0) -> tuple[Path, list[str]]:
    """A run's weights with this logit as the median of their maps, and the arguments of their release."""
    loaded, bias = load_checkpoint(weights), "decoder.stride1.head.bias"
    labelled = make_indexed(folder / "labelled", count=24)
    predictor = Predictor.setup(weights)
    canvases = [predictor.decode(s.image.read_bytes()).pixels[None] for s in read_sets([labelled])[0].samples]
    median = float(np.median([np.median(predictor.predict(canvas)[0, :32, :48]) for canvas in canvases]))
    moved = {**loaded.weights, bias: loaded.weights[bias] - math.log(median / (1 - median)) + typical}
    run = folder / "run.safetensors"
    recipe = {"recipe": {"held_out": 0.5, "seed": 1}}
    save_checkpoint(run, dataclasses.replace(loaded, weights=moved, provenance=recipe))
    return run, ["--run", str(run), "--data", str(labelled), "--out", str(folder / "shipped.safetensors")]


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

    assert release_main([*command, "--out", str(out), "--version", "7", "--accept-worse"]) == 0

    told = capsys.readouterr()
    report = json.loads(told.out)
    assert "head" not in told.err
    table = told.err[told.err.index("score rule") : told.err.index("chosen: ")]
    assert table.count("\n") == 1 + 16
    assert "AUC, resaved" in table
    # nobody wonders whether it still lives
    steps = [line.rsplit(": ", 1) for line in told.err.splitlines() if line.endswith("images")]
    assert [name for name, _ in steps] == [
        "tampered images, for the logit shift",
        "labelled images as they are",
        "more authentic images as they are",
    ]
    assert all(count.split("/")[0] == count.split("/")[1].split()[0] for _, count in steps)
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
    recipe = {"val_fraction": 0.5, "seed": 7, "split_seed": 1}  # of a run that went on from another one's weights
    save_checkpoint(run, dataclasses.replace(load_checkpoint(weights), provenance={"recipe": recipe}))

    command = ["--run", str(run), "--data", str(labelled), "--data", str(others), "--out", str(out)]
    assert release_main([*command, "--accept-worse"]) == 0

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


def untrained(config: NclConfig, path: Path) -> Path:
    """Weights of a run that has not learnt anything."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        packed = pack_weights(build_network(config).state_dict())
    provenance = {"recipe": {"held_out": 0.5, "seed": 1}}
    save_checkpoint(path, Checkpoint(config=config, weights=packed, name="headed", version="0", provenance=provenance))
    return path


def test_too_few_photographs_for_the_evidence_of_experts_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = untrained(TINY_EXPERTS, tmp_path / "run.safetensors"), tmp_path / "shipped.safetensors"
    labelled = make_indexed(tmp_path / "labelled", count=24)
    assert release_main(["--run", str(run), "--data", str(labelled), "--out", str(out)]) == 1
    assert "authentic photographs are too few to fit a rate of 0.01; hold more groups out" in capsys.readouterr().err
    assert not out.exists()


def test_release_compares_the_head_and_takes_the_rule_that_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = untrained(dataclasses.replace(TINY, head="pooled"), tmp_path / "run.safetensors")
    out = tmp_path / "shipped.safetensors"
    labelled = save_as_jpeg(make_indexed(tmp_path / "labelled", count=24), {True: 50, False: 95})
    command = ["--run", str(run), "--data", str(labelled), "--out", str(out), "--accept-worse"]

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
    bias, out = "decoder.stride1.head.bias", tmp_path / "shipped.safetensors"
    run, command = made_run(weights, tmp_path, typical=-0.9)
    timid = load_checkpoint(run).weights[bias]

    assert release_main([*command, "--accept-worse"]) == 0

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


# --- what is not shipped ---


def test_release_refuses_what_it_doubts_and_says_why(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The maps of these weights are far below 0.5: the best shift is beyond all that are tried."""
    _, command = made_run(weights, tmp_path, typical=-3.95)
    out = tmp_path / "shipped.safetensors"

    assert release_main(command) == 1

    told = capsys.readouterr()
    assert not out.exists()
    assert "THESE WEIGHTS SHOULD NOT BE SHIPPED" in told.err
    assert f"REFUSED: nothing was written to {out}; --accept-worse writes it all the same" in told.err
    assert "is at the end of -2 to 4, all that was tried" in told.err
    assert "\x1b" not in told.err  # colours are for terminals
    doubts = json.loads(told.out)["doubts"]
    assert any("logit shift 4 " in doubt for doubt in doubts)

    assert release_main([*command, "--accept-worse"]) == 0
    assert "written all the same, as asked" in capsys.readouterr().err
    assert load_checkpoint(out).provenance["chosen_on_validation"]["doubts"] == doubts


def evaluation(**figures: float) -> Evaluation:
    known = {"pixel_f1": 0.5, "pixel_iou": 0.4, "pixel_auc": 0.9, "image_auc": 0.9}
    rest = {"recall_at_fpr1": 0.5, "recall_at_fpr5": 0.5}
    return Evaluation(tampered=9, authentic=9, with_pixels=9, unreadable=0, **(known | rest | figures))


PEAK = Rule(map_rule="peak", number=16)


@pytest.mark.parametrize(
    ("figures", "shift", "rule", "says"),
    [
        ({}, 0.5, PEAK, []),
        ({"image_auc": 0.5}, 0.5, PEAK, ["image AUC 0.500 on validation images: no better than chance"]),
        ({"pixel_auc": 0.31}, 0.5, PEAK, ["pixel AUC 0.310 on validation images"]),
        ({"image_auc": math.nan}, 0.5, PEAK, []),
        ({}, SHIFTS[-1], PEAK, ["the logit shift 4 is at the end of -2 to 4"]),
        ({}, SHIFTS[0], PEAK, ["the logit shift -2 is at the end of -2 to 4"]),
        ({}, 0.0, Rule(map_rule="peak", number=64), ["score rule 'peak 64' is at the end of 4 to 64"]),
        ({}, 0.0, Rule(map_rule="top_mean", number=0.001, head=True), ["'head + top_mean 0.001' is at the end"]),
        ({}, 0.0, Rule(map_rule=None, head=True), []),
        (
            {"image_auc": 0.4, "pixel_auc": 0.4},
            4.0,
            Rule(map_rule="area", number=0.9),
            ["image AUC", "pixel AUC", "shift 4", "area 0.9"],
        ),
    ],
)
def test_what_speaks_against_shipping(figures: dict[str, float], shift: float, rule: Rule, says: list[str]) -> None:
    found = doubts_about(evaluation(**figures), shift, rule)
    assert len(found) == len(says)
    for doubt, words in zip(found, says, strict=True):
        assert words in doubt


def test_a_rule_that_somebody_asked_for_is_no_doubt() -> None:
    assert doubts_about(evaluation(), 0.5, Rule(map_rule="peak", number=64), asked=True) == []


def test_a_network_may_be_too_bold(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A shift below zero was out of reach: whatever was too bold stayed so."""
    predictor = Predictor.setup(weights)
    samples = [s for s in read_sets([make_indexed(tmp_path / "x", count=24)])[0].samples if s.mask is not None]
    bold = []
    for sample in samples:
        image = predictor.decode(sample.image.read_bytes())
        truth = read_mask(sample)
        assert truth is not None
        # right where the mask is, and half a logit too bold elsewhere
        logits = np.where(truth, 2.0, 0.4).astype(np.float32)
        assert logits.shape == (image.height, image.width)
        bold.append(Judged(probabilities=1 / (1 + np.exp(-logits)), mask=truth))
    shift, figures = choose_shift(bold)
    assert -2.0 <= shift < -0.4
    assert figures[shift] == pytest.approx(1.0)
    assert figures[0.0] < 0.5


def test_release_without_a_single_mask_says_so(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = made_run(weights, tmp_path)
    for i in range(12):
        save_photo(tmp_path / f"set/tampered/t{i}.png", seed=i)
        save_photo(tmp_path / f"set/authentic/a{i}.png", seed=50 + i)
    assert release_main(["--run", str(run), "--data", str(tmp_path / "set"), "--out", str(tmp_path / "x")]) == 1
    assert "no tampered image with a mask among the held-out ones" in capsys.readouterr().err
