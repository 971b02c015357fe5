"""`evaluate --benign`: after which operation how many photographs could not be tested for some kind of evidence."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest
from copied_photos import photograph
from support.data_sets import make_authentic
from support.tiny_model import save_experts_model, save_lively_model

from ncl_model.evaluation.evaluation_run import EvaluationRun, read_sets
from ncl_model.evaluation.run_tables import run_document, run_text
from ncl_model.evaluation.treatments import BENIGN_SUITE
from ncl_model.imaging.benign import AS_IT_IS
from ncl_model.inference.predictor import Predictor

HEAD = "not tested for"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photographs that were JPEG files, one of them too small to be searched for copies."""
    folder = tmp_path_factory.mktemp("sets") / "one"
    make_authentic(folder, count=3, regions=False)
    for position, path in enumerate(sorted(folder.glob("*.jpg"))):
        picture = photograph("coffee", 256 + 32 * position)
        if position == 0:
            picture.resize((20, 20)).save(path, "PNG")
        else:
            picture.save(path, "JPEG", quality=60)
    return folder


@pytest.fixture(scope="module")
def judged(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[EvaluationRun, Path]:
    out = tmp_path_factory.mktemp("out")
    predictor = Predictor.setup(save_experts_model(out / "experts.safetensors"))
    run = EvaluationRun(predictor, out, suites=[BENIGN_SUITE])
    run.run(read_sets([folder]))
    return run, out


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_operation_says_how_many_could_not_be_tested(judged: tuple[EvaluationRun, Path]) -> None:
    run, out = judged
    (result,) = run.results
    images = [{"treatment": AS_IT_IS} | row for row in rows_of(out / "images.csv")]
    images += rows_of(out / "benign_images.csv")
    expected: dict[str, Counter[str]] = {}
    for row in images:
        expected.setdefault(row["treatment"], Counter()).update(
            row["untestable"].split("+") if row["untestable"] else []
        )
    assert result.untestable("benign") == expected
    assert (expected[AS_IT_IS]["traces"], expected[AS_IT_IS]["copies"]) == (1, 1), "the small one alone"
    assert expected["resize 0.78"]["traces"] > 1, "a resize without loss wipes the grid out"

    rows = {row["treatment"]: row for row in rows_of(out / "benign.csv")}
    for name, counted in expected.items():
        for kind in ("pixels", "traces", "together", "copies"):
            assert rows[name][f"untestable_{kind}"] == str(counted[kind])
    document = run_document(run)["sets"][0]["benign"]
    assert {name: each["untestable"] for name, each in document.items()} == expected
    json.dumps(document)


def test_the_tables_have_a_column_for_it(judged: tuple[EvaluationRun, Path]) -> None:
    run, out = judged
    lines = run_text(run).splitlines()
    head = next(line for line in lines if line.endswith(HEAD))
    as_they_are = lines[lines.index(head) + 1]
    assert as_they_are.startswith(AS_IT_IS)
    assert as_they_are.endswith("  traces 1, copies 1")
    page = (out / "benign.md").read_text()
    assert f" {HEAD} |\n" in page
    assert " traces 1, copies 1 |\n" in page
    assert "A low score of these says less." in page


def test_models_with_one_kind_of_evidence_have_none_of_it(folder: Path, tmp_path: Path) -> None:
    predictor = Predictor.setup(save_lively_model(tmp_path / "tiny.safetensors"))
    run = EvaluationRun(predictor, tmp_path, suites=[BENIGN_SUITE])
    run.run(read_sets([folder]))
    assert run.results[0].untestable("benign") is None
    assert HEAD not in run_text(run)
    assert HEAD not in (tmp_path / "benign.md").read_text().lower()
    assert "untestable" not in (tmp_path / "benign.csv").read_text()
    assert all(row["untestable"] == "" for row in rows_of(tmp_path / "benign_images.csv"))
    assert "untestable" not in run_document(run)["sets"][0]["benign"][AS_IT_IS]
