"""`nclscreen evaluate`, and `--max-fpr` wherever a threshold can be given."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.data_sets import make_authentic, make_indexed
from support.hostile_images import repeated_scan
from support.odd_images import encoded, photo
from support.tiny_model import save_tiny_model

from ncl_model.evaluation.evaluation_run import EvaluationRun
from ncl_model.inference.calibration import Calibration
from ncl_model.inference.checkpoint import load_checkpoint, save_checkpoint
from nclscreen.cli.app import run
from nclscreen.surroundings import load_settings
from nclscreen.wiring import Wiring, wire

CALIBRATION = Calibration.fit(np.linspace(0.0, 0.5, 99), sources={"authentic/made-up": 99}, rule="top_mean 0.01")


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home folder, and a tiny model with a calibration."""
    path = save_tiny_model(tmp_path / "tiny.safetensors")
    save_checkpoint(path, dataclasses.replace(load_checkpoint(path), calibration=CALIBRATION.to_dict()))
    monkeypatch.setenv("NCLSCREEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NCLSCREEN_WEIGHTS", str(path))
    wire.cache_clear()
    yield path
    wire.cache_clear()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "photos" / "a.jpg"
    path.parent.mkdir()
    path.write_bytes(encoded(photo(), "JPEG"))
    return path


# --- evaluate ---


def test_evaluate_writes_a_folder_and_one_document(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = [make_indexed(tmp_path / "sets/one", count=6), make_authentic(tmp_path / "sets/two", count=3)]
    out = tmp_path / "out"

    assert run(["evaluate", *(f"--data={path}" for path in sets), "--out", str(out), "--json"]) == 0

    told = capsys.readouterr()
    document = json.loads(told.out)
    assert [s["name"] for s in document["sets"]] == ["sets/one", "sets/two"]
    assert document["sets"][1]["image_auc"] is None
    assert document["out"] == str(out)
    assert {"images.csv", "figures.csv", "figures.md", "sheet_sets-one.jpg"} <= {p.name for p in out.iterdir()}
    assert "6/6 images" in told.err
    assert not (tmp_path / "home").exists()  # neither database nor cluster


def test_evaluate_shows_a_table_and_takes_other_weights(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = save_tiny_model(tmp_path / "other.safetensors", seed=5)
    folder = make_indexed(tmp_path / "sets/one", count=6)
    command = ["evaluate", "--weights", str(other), "--data", str(folder), "--out", str(tmp_path / "out")]
    assert run([*command, "--limit", "4", "--precision", "bfloat16"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["set", "tampered", "authentic"]
    assert row.split()[:3] == ["sets/one", "2", "2"]
    page = (tmp_path / "out/figures.md").read_text()
    assert "tiny 5" in page
    assert "bfloat16" in page


def test_evaluate_judges_the_rest_when_a_photograph_is_bad(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_indexed(tmp_path / "sets/one", count=6)
    (folder / "images/2.png").write_bytes(b"no picture")
    assert run(["evaluate", "--data", str(folder), "--out", str(tmp_path / "out"), "--robustness"]) == 1
    told = capsys.readouterr().out
    assert "1 of 6 images could not be judged" in told
    assert "2.png" in told
    assert "jpeg 50" in told


def test_evaluate_shows_what_benign_operations_leave_and_compares_two_models(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = save_tiny_model(tmp_path / "other.safetensors", seed=5)
    folder, out = make_indexed(tmp_path / "sets/one", count=4), tmp_path / "out"
    command = ["evaluate", "--data", str(folder), "--out", str(out), "--benign", "--against", str(other)]
    assert run(command) == 0
    told = capsys.readouterr().out
    places = [told.index(word) for word in ("after benign operations", "pixel IoU", "compared", "benign: messenger")]
    assert places == sorted(places)  # the hardest table first
    pages = {"benign_images.csv", "benign.csv", "benign.md", "benign_sets-one.png", "comparison.csv", "comparison.md"}
    assert pages <= {path.name for path in out.iterdir()}

    assert run([*command, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert "messenger" in document["sets"][0]["benign"]
    assert document["against"]["model"]["version"] == "5"


def test_evaluate_takes_a_folder_called_tampered_for_what_it_is(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_authentic(tmp_path / "sets/tampered", count=2, regions=False)
    assert run(["evaluate", "--data", str(tmp_path / "sets/tampered"), "--out", str(tmp_path / "out"), "--json"]) == 0
    (figures,) = json.loads(capsys.readouterr().out)["sets"]
    assert (figures["tampered"], figures["authentic"], figures["pixel_f1"]) == (2, 0, None)


def test_evaluate_interrupted_says_what_is_left_behind(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = EvaluationRun.run

    def interrupted(self: EvaluationRun, sets: object, progress: object) -> None:
        def stop(done: int, total: int, name: str) -> None:
            if done == 2:
                raise KeyboardInterrupt

        whole(self, sets, stop)  # type: ignore[arg-type]

    monkeypatch.setattr(EvaluationRun, "run", interrupted)
    folder = make_indexed(tmp_path / "sets/one", count=6)
    assert run(["evaluate", "--data", str(folder), "--out", str(tmp_path / "out")]) == 130
    told = capsys.readouterr().err
    assert "2 images were judged" in told
    assert "broken off after 2 of 6 images" in told
    assert (tmp_path / "out/images.csv").read_text().count("\n") == 3


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--data", "nowhere"], 1, "nowhere"),
        ([], 2, "--data"),
        (["--data", "nowhere", "--limit", "0"], 2, "--limit"),
        (["--data", "nowhere", "--precision", "int8"], 2, "--precision"),
        (["--data", "PHOTOS", "--against", "none.safetensors"], 1, "none.safetensors: no such file"),
    ],
)
def test_evaluate_says_what_is_wrong_with_the_command(
    weights: Path, tmp_path: Path, arguments: list[str], code: int, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = str(make_authentic(tmp_path / "photos", count=1))
    arguments = [photos if word == "PHOTOS" else word for word in arguments]
    assert run(["evaluate", *arguments, "--out", str(tmp_path / "out")]) == code
    assert word in capsys.readouterr().err


# --- files that are meant to do harm ---


def test_score_is_not_held_up_by_a_decompression_bomb(
    weights: Path, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NCLSCREEN_DECODE_DEADLINE_S", "1")
    (tmp_path / "bomb.jpg").write_bytes(repeated_scan())
    run(["score", str(tmp_path / "bomb.jpg"), str(picture), "--json"])
    bomb, good = json.loads(capsys.readouterr().out)["images"]
    assert bomb["error_code"] == "too_large"
    assert "1 seconds of computing" in bomb["error_message"]
    assert good["error_code"] is None


# --- --max-fpr ---


def test_score_flags_from_the_promised_rate_on(
    weights: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["score", str(picture), "--max-fpr", "0.05", "--json"]) == 0
    told = capsys.readouterr()
    document = json.loads(told.out)
    policy = CALIBRATION.policy(0.05)
    assert document["threshold"] == document["policy"]["threshold"] == policy.threshold
    assert (document["policy"]["reached"], document["policy"]["photographs"]) == (4, 99)
    (image,) = document["images"]
    assert image["flagged"] == (image["score"] >= policy.threshold)
    assert image["false_positive_rate"] == pytest.approx(CALIBRATION.rate(image["score"]), abs=0.02)
    assert "4 of 99 authentic photographs" in told.err

    assert run(["score", str(picture), "--threshold", "0", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["threshold"], document["policy"], document["images"][0]["flagged"]) == (0.0, None, True)


def test_submit_stores_the_threshold_that_the_rate_means(
    weights: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["submit", str(picture.parent), "--max-fpr", "0.01", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["threshold"] == pytest.approx(CALIBRATION.policy(0.01).threshold, abs=0)
    assert document["policy"]["max_fpr"] == 0.01
    assert Wiring(load_settings()).jobs.get(document["id"]).threshold == document["threshold"]


@pytest.mark.parametrize("command", ["score", "submit", "screen"])
def test_a_rate_that_cannot_be_promised_costs_nothing(
    weights: Path, picture: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([command, str(picture), "--max-fpr", "0.001"]) == 1
    assert "the least is 0.01" in capsys.readouterr().err
    assert run([command, str(picture), "--max-fpr", "0.05", "--threshold", "0.5"]) == 2
    assert "only one of them can count" in capsys.readouterr().err
    assert run([command, str(picture), "--max-fpr", "1.5"]) == 2

    plain = save_tiny_model(weights)  # the same network without a calibration
    wire.cache_clear()
    assert run([command, str(picture), "--max-fpr", "0.05"]) == 1
    told = capsys.readouterr().err
    assert "no calibration" in told
    assert str(plain) in told


def test_a_damaged_calibration_is_told_as_such(
    weights: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_checkpoint(weights, dataclasses.replace(load_checkpoint(weights), calibration={"format": 1}))
    wire.cache_clear()
    assert run(["score", str(picture), "--max-fpr", "0.05"]) == 1
    assert "calibration" in capsys.readouterr().err


def test_an_interrupted_job_keeps_its_threshold(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--max-fpr", "--threshold"):
        assert run(["screen", "--resume", "some-id", option, "0.5"]) == 2
        assert "--resume" in capsys.readouterr().err


def test_doctor_says_which_rates_can_be_asked(
    weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("nclscreen.services.health.ray_cluster", lambda wiring: "left out: the flow starts it")
    assert run(["doctor"]) == 0
    assert "false alarms from 0.01 on (99 authentic photographs)" in capsys.readouterr().out
    save_tiny_model(weights)
    wire.cache_clear()
    assert run(["doctor"]) == 0
    assert "no calibration" in capsys.readouterr().out
