"""Two models on the same photographs: differences, and how sure they are."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from support.data_sets import make_authentic, make_indexed
from support.tiny_model import save_lively_model, save_tiny_model

from ncl_model.evaluation.__main__ import main
from ncl_model.evaluation.comparison import Difference, compare
from ncl_model.evaluation.evaluation_run import EvaluationRun, read_sets
from ncl_model.evaluation.figures import FIGURES, FLAGGING_FIGURES
from ncl_model.evaluation.records import ImageRecord
from ncl_model.evaluation.treatments import BENIGN_SUITE
from ncl_model.inference.predictor import Predictor

ALL = (*FIGURES, *FLAGGING_FIGURES)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("weights")
    return save_lively_model(folder / "lively.safetensors"), save_tiny_model(folder / "tiny.safetensors", seed=5)


def records(scores: list[float], f1: list[float]) -> list[ImageRecord]:
    """Tampered ones first, as many as there are F1 values; two of a group."""
    known = [*f1, *[math.nan] * (len(scores) - len(f1))]
    return [
        ImageRecord(name=str(i), group=str(i // 2), label=i < len(f1), score=s, f1=f, iou=f, auc=f)
        for i, (s, f) in enumerate(zip(scores, known, strict=True))
    ]


def by_figure(found: list[Difference]) -> dict[str, Difference]:
    return {each.figure: each for each in found}


FIRST = records([0.9, 0.8, 0.7, 0.2, 0.6, 0.3, 0.2, 0.1], [0.5, 0.9, 0.1, 0.3])


def test_a_model_does_not_differ_from_itself() -> None:
    for each in compare("as it is", ALL, FIRST, FIRST[::-1], thresholds=(0.5, 0.5)):
        assert each.difference == 0
        assert each.interval == (0, 0)
        assert not each.sure
        assert each.images == 8


def test_what_is_hard_for_both_drops_out_of_the_interval() -> None:
    """F1 is lower by 0.1 on every photograph: the values spread widely, their difference not at all."""
    second = [dataclasses.replace(r, f1=r.f1 - 0.1) for r in FIRST]
    found = by_figure(compare("as it is", ALL, FIRST, second, thresholds=(0.5, 0.5)))["pixel_f1"]
    assert found.difference == pytest.approx(0.1)
    assert found.interval == pytest.approx((0.1, 0.1))
    assert found.sure


def test_each_model_flags_at_its_own_threshold() -> None:
    found = by_figure(compare("as it is", ALL, FIRST, FIRST, thresholds=(0.5, 0.85)))
    assert (found["recall"].ours, found["recall"].theirs) == (0.75, 0.25)
    assert (found["false_alarm_rate"].ours, found["false_alarm_rate"].theirs) == (0.25, 0.0)
    assert found["image_auc"].difference == 0


def test_the_interval_is_that_of_a_paired_bootstrap_over_groups() -> None:
    rng = np.random.default_rng(1)
    first = records(list(rng.random(40)), list(rng.random(20)))
    second = [dataclasses.replace(r, f1=r.f1 * 0.8) for r in first]
    found = by_figure(compare("x", ["pixel_f1"], first, second, thresholds=(0.5, 0.5), rounds=500, seed=3))["pixel_f1"]
    groups: dict[str, list[tuple[float, float]]] = {}
    for a, b in zip(first, second, strict=True):
        groups.setdefault(a.group, []).append((a.f1, b.f1))
    clusters = [groups[name] for name in sorted(groups)]
    draw = np.random.default_rng(3)
    drawn = []
    for _ in range(500):
        rows = [row for i in draw.integers(0, len(clusters), len(clusters)) for row in clusters[i]]
        values = np.array([row for row in rows if row[0] == row[0]])
        drawn.append(float(values[:, 0].mean() - values[:, 1].mean()))
    assert found.interval == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])))


def test_what_one_of_them_cannot_judge_counts_for_neither() -> None:
    second = [dataclasses.replace(r, problem="corrupt" if r.name == "1" else None) for r in FIRST]
    for ours, theirs in ((FIRST, second), (second, FIRST)):
        found = by_figure(compare("x", ["pixel_f1"], ours, theirs, thresholds=(0.5, 0.5)))["pixel_f1"]
        assert found.images == 7
        assert found.ours == found.theirs == pytest.approx(np.mean([0.5, 0.1, 0.3]))


def test_nothing_in_common_is_not_defined() -> None:
    found = compare("x", ["pixel_f1", "image_auc"], FIRST, [], thresholds=(0.5, 0.5))
    assert all(math.isnan(each.difference) and each.images == 0 and not each.sure for each in found)


def test_both_judge_the_same_photographs_in_every_state(pair: tuple[Path, Path], tmp_path: Path) -> None:
    ours, theirs = map(Predictor.setup, pair)
    folder = make_indexed(tmp_path / "sets/one")
    run = EvaluationRun(ours, tmp_path / "out", suites=[BENIGN_SUITE], against=theirs)
    run.run(read_sets([folder]))
    alone = EvaluationRun(theirs, suites=[BENIGN_SUITE])
    alone.run(read_sets([folder]))

    (found,) = run.differences.values()
    assert len(found) == len(ALL) + 8 * 5
    first = by_figure(found[: len(ALL)])
    evaluation = alone.results[0].evaluation
    assert evaluation is not None
    assert first["pixel_f1"].theirs == evaluation.pixel_f1
    assert first["image_auc"].theirs == evaluation.image_auc
    messenger = next(d for d in found if (d.state, d.figure) == ("benign: messenger", "pixel_auc"))
    assert messenger.theirs == alone.results[0].treated_evaluations["benign"]["messenger"].pixel_auc
    with (tmp_path / "out/comparison.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found)
    assert float(rows[0]["difference"]) == pytest.approx(float(rows[0]["ours"]) - float(rows[0]["theirs"]))
    page = (tmp_path / "out/comparison.md").read_text(encoding="utf-8")
    assert f"tiny 0 ({ours.fingerprint[:8]})" in page
    assert f"tiny 5 ({theirs.fingerprint[:8]})" in page


def test_the_program_compares(pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_indexed(tmp_path / "sets/one")
    plain = make_authentic(tmp_path / "sets/plain", count=2)
    command = ["--weights", str(pair[0]), "--against", str(pair[1]), "--data", str(folder), "--data", str(plain)]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "sets/one, compared" in told
    assert "sets/plain, compared" in told
    assert "paired bootstrap over groups" in told

    assert main([*command, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    against = document["against"]
    assert against["model"]["version"] == "5"
    assert against["model"]["fingerprint"] != document["model"]["fingerprint"]
    assert [each["name"] for each in against["sets"]] == ["sets/one", "sets/plain"]
    rows = {row["figure"]: row for row in against["sets"][1]["differences"]}
    assert rows["image_auc"]["difference"] is None
    assert rows["false_alarm_rate"]["difference"] is not None


def test_weights_that_are_not_there_are_one_line(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_indexed(tmp_path / "sets/one", count=2)
    assert main(["--weights", str(pair[0]), "--data", str(folder), "--against", "none.safetensors"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: none.safetensors: no such file")
    assert err.count("\n") == 1
