"""`evaluate --benign`: every photograph after every operation, alike in both classes, its mask with it."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.data_sets import make_authentic, make_indexed, save_mask, save_photo
from support.tiny_model import save_lively_model

from ncl_model.evaluation.__main__ import main
from ncl_model.evaluation.evaluation_run import EvaluationRun, read_sets
from ncl_model.evaluation.figures import summarize
from ncl_model.evaluation.laundered import LAUNDERED_SUITE, Laundering, asked_suites
from ncl_model.evaluation.records import ImageRecord, judge_bytes
from ncl_model.evaluation.results import SetResult
from ncl_model.evaluation.treated_tables import treated_csv, treated_text, worst
from ncl_model.evaluation.treatments import BENIGN_SUITE, Mask, Pixels, Suite, Versions
from ncl_model.imaging import decoding
from ncl_model.imaging.benign import AS_IT_IS, BENIGN
from ncl_model.imaging.decoding import decode_photo
from ncl_model.imaging.encoding import png_file
from ncl_model.inference.checkpoint import load_checkpoint, save_checkpoint
from ncl_model.inference.predictor import Predictor

ROOT = Path(__file__).resolve().parents[2]
NAMES = [AS_IT_IS, *(operation.name for operation in BENIGN)]
SIZE = (120, 80)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lively model that suggests a threshold in the midst of its scores."""
    path = save_lively_model(tmp_path_factory.mktemp("weights") / "tiny.safetensors")
    metrics = {"suggested_threshold": {"fpr_0.05": 0.9, "fpr_0.20": 0.1}}
    save_checkpoint(path, dataclasses.replace(load_checkpoint(path), metrics=metrics))
    return path


@pytest.fixture(scope="module")
def predictor(weights: Path) -> Predictor:
    return Predictor.setup(weights)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four photographs a class, large enough to be cut and scaled."""
    folder = make_indexed(tmp_path / "sets" / "one")
    for i in range(8):
        save_photo(folder / f"images/{i}.png", seed=i, size=SIZE)
        if i % 2:
            save_mask(folder / f"masks/{i}.png", size=SIZE)
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# --- versions of one photograph ---


def test_each_operation_gives_one_version_with_the_mask_of_its_size(folder: Path) -> None:
    authentic, tampered = read_sets([folder])[0].samples[:2]
    pixels = decode_photo(tampered.image.read_bytes())
    versions = Versions(tampered, [BENIGN_SUITE]).all
    assert [version.treatment for version in versions] == NAMES[1:]
    for version, operation in zip(versions, BENIGN, strict=True):
        assert version.data == operation.file(pixels)
        assert version.mask is not None
        assert version.mask.shape == decode_photo(version.data).shape[:2]
        assert version.mask.mean() == pytest.approx(0.25, abs=0.03)
    assert all(version.mask is None for version in Versions(authentic, [BENIGN_SUITE]).all)


def test_a_photograph_is_decoded_once_for_all_treatments_and_models(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[bytes] = []
    whole = decoding.decode_photo

    def counted(data: bytes) -> Pixels:
        opened.append(data)
        return whole(data)

    monkeypatch.setattr("ncl_model.evaluation.treatments.decode_photo", counted)
    versions = Versions(read_sets([folder])[0].samples[0], [BENIGN_SUITE, BENIGN_SUITE])
    assert len(versions.all) == len(versions.all) == 16
    assert len(opened) == 1
    assert Versions(read_sets([folder])[0].samples[0], []).all == []
    assert len(opened) == 1


# --- figures ---


def test_both_classes_are_treated_and_judged_by_the_masks_that_went_along(
    predictor: Predictor, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run = EvaluationRun(predictor, out, suites=[BENIGN_SUITE])
    (labelled,) = read_sets([folder])
    run.run([labelled])

    (result,) = run.results
    treated = result.treated["benign"]
    assert list(treated) == NAMES
    assert str(treated[AS_IT_IS]) == str(result.records)
    crop = BENIGN[0]
    for sample, record in zip(labelled.samples, treated["crop"], strict=True):
        pixels = decode_photo(sample.image.read_bytes())
        mask = np.zeros(pixels.shape[:2], np.bool_)
        if sample.mask is not None:
            mask[: SIZE[1] // 2, : SIZE[0] // 2] = True
        file, cut = crop(pixels, mask)
        expected = judge_bytes(predictor, sample, record.name, file, cut if sample.tampered else None)
        assert str(record) == str(expected)
    # lossless and of the same pixels: nothing changes for a network that sees pixels
    assert [r.score for r in treated["PNG export"]] == [r.score for r in result.records]
    assert any(a.score != b.score for a, b in zip(treated["messenger"], result.records, strict=True))

    kept = rows_of(out / "benign_images.csv")
    assert [(row["name"], row["treatment"]) for row in kept] == [(r.name, n) for r in result.records for n in NAMES[1:]]
    assert [float(row["score"]) for row in kept[::8]] == [r.score for r in treated["crop"]]
    rows = rows_of(out / "benign.csv")
    assert [row["treatment"] for row in rows] == NAMES
    for row in rows:
        records = treated[row["treatment"]]
        flagged = sum(r.score >= 0.9 for r in records if not r.label)
        assert (row["false_alarms"], row["authentic"], row["tampered"], row["threshold"]) == (
            str(flagged), "4", "4", "0.9",
        )  # fmt: skip
        assert float(row["false_alarm_rate"]) == flagged / 4
        assert float(row["recall"]) == sum(r.score >= 0.9 for r in records if r.label) / 4
        assert float(row["pixel_f1"]) == pytest.approx(float(np.mean([r.f1 for r in records if r.label])))
        assert float(row["image_auc_low"]) <= float(row["image_auc"]) <= float(row["image_auc_high"])
    with Image.open(out / "benign_sets-one.png") as chart:
        chart.load()
        assert chart.width > 900  # names of treatments are long
    assert "Authentic and tampered photographs were treated alike" in (out / "benign.md").read_text()


def test_a_map_that_is_right_stays_right_when_photograph_and_mask_are_cut_alike(folder: Path) -> None:
    """A mask left as it was would lie beside what it marks."""

    def shifted(pixels: Pixels, mask: Mask) -> tuple[bytes, Mask]:
        return png_file(pixels[5:, 3:]), mask[5:, 3:]

    shifted.name = "cut"  # type: ignore[attr-defined]
    sample = read_sets([folder])[0].samples[1]
    (version,) = Versions(sample, [Suite(name="one", title="One", treatments=[shifted])]).all  # type: ignore[list-item]
    assert version.mask is not None
    whole = np.zeros((SIZE[1], SIZE[0]), np.bool_)
    whole[: SIZE[1] // 2, : SIZE[0] // 2] = True
    np.testing.assert_array_equal(version.mask, whole[5:, 3:])


def test_whatever_ends_a_long_run_leaves_what_was_judged(predictor: Predictor, folder: Path, tmp_path: Path) -> None:
    def killed(done: int, total: int, name: str) -> None:
        """As the system does it: nothing is written after this."""
        if done == 2:
            assert len(rows_of(tmp_path / "out/benign_images.csv")) == 16
            raise KeyboardInterrupt

    run = EvaluationRun(predictor, tmp_path / "out", suites=[BENIGN_SUITE])
    with pytest.raises(KeyboardInterrupt):
        run.run(read_sets([folder]), killed)
    assert {row["tampered"] for row in rows_of(tmp_path / "out/benign.csv")} == {"1"}


def test_what_cannot_be_read_is_left_out_of_every_line(predictor: Predictor, folder: Path) -> None:
    (folder / "images/0.png").write_bytes(b"")
    run = EvaluationRun(predictor, suites=[BENIGN_SUITE])
    run.run(read_sets([folder]))
    evaluations = run.results[0].treated_evaluations["benign"]
    assert {(e.tampered, e.authentic) for e in evaluations.values()} == {(4, 3)}
    assert len(run.results[0].problems) == 1


def test_a_version_that_cannot_be_decoded_is_one_image_less(predictor: Predictor, folder: Path) -> None:
    sample = read_sets([folder])[0].samples[1]
    record = judge_bytes(predictor, sample, "x", b"no picture", None)
    assert record.label
    assert "not an image" in str(record.problem)


def test_without_masks_or_without_authentic_ones_the_figures_that_can_be_are_there(
    predictor: Predictor, tmp_path: Path
) -> None:
    save_photo(tmp_path / "tampered/a.png", size=SIZE)
    run = EvaluationRun(predictor, suites=[BENIGN_SUITE])
    run.run(read_sets([tmp_path / "tampered", make_authentic(tmp_path / "plain", count=2)]))
    for evaluation in run.results[0].treated_evaluations["benign"].values():
        assert evaluation.flagging is not None
        assert evaluation.flagging.recall in {0.0, 1.0}
        assert math.isnan(evaluation.flagging.false_alarm_rate)
        assert math.isnan(evaluation.pixel_f1)
    told = treated_text(BENIGN_SUITE, run.results)
    assert "no authentic photographs, so there are no false alarms and no image AUC" in told
    assert " of 2 " in told


def record(name: str, *, label: bool, score: float) -> ImageRecord:
    return ImageRecord(name=name, group=name, label=label, score=score)


def test_flagging_counts_scores_that_reach_the_threshold() -> None:
    records = [
        record("a", label=True, score=0.5),
        record("b", label=True, score=0.49),
        record("c", label=False, score=0.5),
        record("d", label=False, score=0.1),
        record("e", label=False, score=0.2),
    ]
    evaluation = summarize(records, threshold=0.5)
    assert evaluation.flagging is not None
    assert (evaluation.flagging.false_alarms, evaluation.flagging.recall) == (1, 0.5)
    assert evaluation.flagging.false_alarm_rate == pytest.approx(1 / 3)
    low, high = evaluation.intervals["false_alarm_rate"]
    assert low <= 1 / 3 <= high
    assert summarize(records).flagging is None
    found = {"calm": summarize(records, threshold=0.9), "wild": evaluation}
    assert worst(found) == "worst rate of false alarms: 33.3 % (wild)"


def test_a_set_without_treated_photographs_has_no_table() -> None:
    (labelled,) = read_sets([ROOT / "docs/images"])
    empty = SetResult(labelled=labelled, threshold=0.5)
    assert treated_text(BENIGN_SUITE, [empty]) == ""
    assert treated_csv(BENIGN_SUITE, [empty]).count("\n") == 1


# --- the program ---


def test_the_program_prints_the_table_and_the_document(
    weights: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--weights", str(weights), "--data", str(folder), "--benign"]
    assert main(command) == 0
    told = capsys.readouterr().out.splitlines()
    at = told.index("sets/one, after benign operations, threshold 0.900")
    assert [line.split("  ")[0] for line in told[at + 2 : at + 11]] == NAMES
    assert told[at + 11].startswith("worst rate of false alarms: ")

    assert main([*command, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["model"]["threshold"] == 0.9
    (figures,) = document["sets"]
    assert list(figures["benign"]) == NAMES
    assert figures["benign"][AS_IT_IS]["image_auc"] == figures["image_auc"]
    assert figures["benign"][AS_IT_IS]["false_alarms"] == figures["false_alarms"]


def test_no_suite_is_measured_that_nobody_asked_for() -> None:
    assert asked_suites() == ()
    assert asked_suites(benign=True) == (BENIGN_SUITE,)
    assert asked_suites(laundered=True, benign=True) == (BENIGN_SUITE, LAUNDERED_SUITE)


def test_a_photograph_is_laundered_the_same_way_every_time_whatever_its_label(folder: Path) -> None:
    samples = read_sets([folder])[0].samples
    (wash,) = LAUNDERED_SUITE.treatments
    seen = set()
    for sample in samples:
        pixels = decode_photo(sample.image.read_bytes())
        blank, full = np.zeros(pixels.shape[:2], np.bool_), np.ones(pixels.shape[:2], np.bool_)
        data, mask = wash(pixels, blank)
        again, other = wash(pixels.copy(), full)
        assert data == again  # the mask is no part of the draw
        assert mask.shape == other.shape == decode_photo(data).shape[:2]
        assert not mask.any()
        assert other.mean() > 0.95
        seen.add(data)
    assert len(seen) == len(samples)
    washed = [decode_photo(data).shape for data in seen]
    assert len(set(washed)) > 1  # each has a history of its own
    assert Laundering(seed=1)(pixels, blank)[0] != data


def test_laundering_has_its_tables(predictor: Predictor, folder: Path, tmp_path: Path) -> None:
    run = EvaluationRun(predictor, tmp_path / "out", suites=[LAUNDERED_SUITE])
    run.run(read_sets([folder]))
    assert [row["treatment"] for row in rows_of(tmp_path / "out/laundered.csv")] == [AS_IT_IS, "laundered"]
    assert "sets/one, after laundering, threshold 0.900" in treated_text(LAUNDERED_SUITE, run.results)


def test_the_documents_have_the_operations_as_they_are() -> None:
    page = (ROOT / "docs/evaluation.md").read_text(encoding="utf-8")
    rows = "\n".join(f"| {operation.name} | {operation.how} |" for operation in BENIGN)
    assert rows in page
