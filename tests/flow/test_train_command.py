"""`nclscreen train` as users run it: with and without Ray, interrupted, resumed, and mistaken."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.flow_program import Program, press_ctrl_c, processes_of, wait_until
from support.training_material import write_source

from ncl_model.inference.checkpoint import load_checkpoint
from ncl_model.training.run_log import read_metrics


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("data") / "set")


def test_a_run_without_ray(program: Program, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ["train", "smoke", "--data", str(source), "--out", str(out), "--workers", "0", "--steps", "3"]
    document = program.json(*arguments)
    assert document["finished"]
    assert document["step"] == 3
    assert 0 <= document["validation"]["pixel_auc"] <= 1
    for name in ("weights", "curves", "metrics", "log"):
        assert Path(document[name]).is_file()
    before = (out / "weights.safetensors").read_bytes()
    told = program(*arguments)
    assert told.returncode == 0
    assert "finished" in told.stdout
    assert str(out / "weights.safetensors") in told.stdout
    assert (out / "weights.safetensors").read_bytes() == before


def test_ctrl_c_saves_and_the_same_command_goes_on(program: Program, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ["train", "smoke", "--data", str(source), "--out", str(out), "--workers", "0"]
    training = program.start(*arguments, "--minutes", "10")
    wait_until(lambda: len(read_metrics(out / "metrics.csv")) > 0, "the first step")
    code, shown, err = press_ctrl_c(training)
    assert code == 130, err
    assert "not finished" in shown
    assert "the same command goes on" in err
    assert "Traceback" not in err
    steps = load_checkpoint(out / "weights.safetensors").provenance["steps"]
    assert steps >= 1
    document = program.json(*arguments, "--steps", str(steps + 1))
    assert document["step"] == steps + 1


@pytest.mark.cluster
def test_a_run_on_ray_is_interrupted_and_goes_on(program: Program, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ["train", "smoke", "--data", str(source), "--out", str(out)]
    training = program.start(*arguments, "--minutes", "10")
    wait_until(lambda: len(read_metrics(out / "metrics.csv")) > 0, "the first step")
    code, _, err = press_ctrl_c(training)
    assert code == 130, err
    assert "the same command goes on" in err
    assert "Traceback" not in err
    assert processes_of(program) == []
    steps = load_checkpoint(out / "weights.safetensors").provenance["steps"]
    document = program.json(*arguments, "--steps", str(steps + 1))
    assert (document["finished"], document["step"]) == (True, steps + 1)
    assert processes_of(program) == []


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["nothing", "--data", ".", "--out", "x"], 2, "paper, small, smoke"),
        (["smoke", "--out", "x"], 2, "--data"),
        (["smoke", "--data", ".", "--out", "x", "--steps", "3", "--minutes", "1"], 2, "only one of them can count"),
        (["smoke", "--data", "no/such/place", "--out", "x", "--workers", "0"], 1, "no/such/place"),
        (["smoke", "--data", ".", "--out", "s3://bucket/run", "--workers", "0"], 2, "at least one worker"),
        (["smoke", "--data", ".", "--out", "s3://bucket"], 2, "prefix"),
        (["smoke", "--data", ".", "--out", "gs://bucket/x"], 2, "not supported"),
        (["smoke", "--data", ".", "--out", "x", "--steps", "0", "--workers", "0"], 2, "steps"),
    ],
)
def test_mistakes(program: Program, tmp_path: Path, arguments: list[str], code: int, word: str) -> None:
    arguments = [str(tmp_path / "x") if argument == "x" else argument for argument in arguments]
    done = program("train", *arguments)
    assert done.returncode == code, done.stderr
    assert word in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
