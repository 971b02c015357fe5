"""Whole runs of the plain loop on files: what they write, that they resume, and how they end."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from support.training_material import recipe, write_source

from ncl_model.errors import CheckpointCorrupt, CheckpointMissing, DatasetInvalid
from ncl_model.inference.checkpoint import load_checkpoint
from ncl_model.training.__main__ import main
from ncl_model.training.parts import has_parts, join_parts, split_file
from ncl_model.training.parts import main as parts_main
from ncl_model.training.plain import Place, train
from ncl_model.training.recipe import TrainConfig
from ncl_model.training.run_files import RunFiles
from ncl_model.training.run_log import read_metrics
from ncl_model.training.run_recorder import told

QUICK = Place(device="cpu", tensorboard=False)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("data") / "set")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(recipe(val_fraction=0.4).to_dict()))
    return path


def stop_after(steps: int) -> Callable[[], bool]:
    """Asks to stop after so many steps of this sitting."""
    asked = iter(range(1, 1000))
    return lambda: next(asked) == steps


def tensors(out: Path) -> dict[str, torch.Tensor]:
    state = RunFiles(out=out).load_state()
    assert state is not None
    return {**state["module"], **{f"average.{n}": t for n, t in state["average"].items()}}


def test_a_run_writes_its_files(source: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert main(["--config", str(config), "--data", str(source), "--out", str(out), "--device", "cpu"]) == 0
    checkpoint = load_checkpoint(out / "weights.safetensors")
    checkpoint.build()
    assert checkpoint.provenance["steps"] == 6
    assert checkpoint.provenance["samples"] == 24
    assert checkpoint.provenance["recipe"]["seed"] == 1
    assert checkpoint.provenance["material"]["sources"][0]["tampered"] == 6
    assert 0 <= checkpoint.metrics["validation"]["pixel_auc"] <= 1
    assert not any(name.startswith("pivot") for name in checkpoint.weights)
    events = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [e["event"] for e in events] == ["start", "material", *["step"] * 6, "validation", "end"]
    told = capsys.readouterr()
    assert told.out == (out / "log.jsonl").read_text()
    count = checkpoint.provenance["material"]["validation"]
    assert f"validating: {count}/{count} images\n" in told.err  # the last one, after the last step
    with (out / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6, 6]
    assert all(float(row["loss"]) > 0 and float(row["learning_rate"]) > 0 for row in rows[:6])
    assert float(rows[6]["pixel_auc"]) == pytest.approx(checkpoint.metrics["validation"]["pixel_auc"], abs=1e-4)
    with Image.open(out / "curves.png") as picture:
        assert picture.size[0] == 1000
        assert len(picture.getcolors(100_000) or []) > 20
    assert any((out / "tensorboard").iterdir())
    assert list(out.glob("*.partial")) == []


def test_a_validation_tells_how_far_it_is_and_not_too_often(source: Path, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    assert train(recipe(steps=1), [source], tmp_path / "run", Place(device="cpu", tensorboard=False), noted=rows.append)
    notices = [(row["validated"], row["to_validate"]) for row in rows if "to_validate" in row]
    assert notices[0][0] == 1
    assert notices[-1][0] == notices[-1][1] > 1
    told_at: list[int] = []
    progress = told(lambda row: told_at.append(row["validated"]), every_s=3600)
    for done in range(1, 101):
        progress(done, 100)
    assert told_at == [1, 100]


def test_interrupted_and_resumed_is_unbroken(source: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert train(recipe(), [source], whole, QUICK)
    assert not train(recipe(), [source], broken, QUICK, stop=stop_after(2))
    assert load_checkpoint(broken / "weights.safetensors").provenance["steps"] == 2
    assert not train(recipe(), [source], broken, QUICK, stop=stop_after(3))
    assert train(recipe(), [source], broken, QUICK)
    one, other = tensors(whole), tensors(broken)
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    steps = [row["step"] for row in read_metrics(broken / "metrics.csv")]
    assert steps == [1, 2, 3, 4, 5, 6, 6]


def test_a_finished_run_is_left_as_it_is(source: Path, tmp_path: Path) -> None:
    train(recipe(steps=2), [source], tmp_path, QUICK)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.suffix in {".pt", ".safetensors", ".png", ".csv"}}
    assert train(recipe(steps=2), [tmp_path / "no such source"], tmp_path, QUICK)
    assert before == {name: (tmp_path / name).read_bytes() for name in before}
    # a longer budget goes on
    assert train(recipe(steps=3), [source], tmp_path, QUICK)
    assert load_checkpoint(tmp_path / "weights.safetensors").provenance["steps"] == 3


def test_minutes_are_wall_time_and_the_learning_rate_follows_them(source: Path, tmp_path: Path) -> None:
    ours = recipe(steps=None, minutes=0.05, warmup_steps=0, validate_minutes=9)
    started = time.monotonic()
    assert train(ours, [source], tmp_path, QUICK)
    took = time.monotonic() - started
    checkpoint = load_checkpoint(tmp_path / "weights.safetensors")
    assert 3.0 <= checkpoint.provenance["elapsed_s"] < 8.0
    assert took >= 3.0
    rates = [row["learning_rate"] for row in read_metrics(tmp_path / "metrics.csv") if "learning_rate" in row]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.3 * rates[0]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_save_and_end(source: Path, tmp_path: Path, config: Path, number: int, code: int) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "ncl_model.training", "--config", str(config), "--data", str(source),
               "--out", str(out), "--minutes", "5", "--workers", "1", "--device", "cpu"]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not read_metrics(out / "metrics.csv"):
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.05)
    os.killpg(process.pid, number)  # as a terminal does: the processes that load get it too
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "the same command goes on" in err
    assert "Traceback" not in err
    state = RunFiles(out=out).load_state()
    assert state is not None
    assert state["step"] == load_checkpoint(out / "weights.safetensors").provenance["steps"] >= 1


def test_a_state_that_is_damaged_is_named(tmp_path: Path) -> None:
    files = RunFiles(out=tmp_path)
    assert files.load_state() is None
    files.save_state({"step": 3})
    assert files.load_state() == {"step": 3}
    data = files.state.read_bytes()
    for bad in (b"", b"nonsense", data[: len(data) // 2]):
        files.state.write_bytes(bad)
        with pytest.raises(CheckpointCorrupt, match=r"state\.pt: not a complete saved state.*anew"):
            files.load_state()


def test_a_state_with_code_in_it_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path}/ran",)

    torch.save({"step": Evil()}, tmp_path / "state.pt")
    with pytest.raises(CheckpointCorrupt):
        RunFiles(out=tmp_path).load_state()
    assert not (tmp_path / "ran").exists()


def test_parts_are_put_together_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(data := os.urandom(2500))
    written = split_file(path, 1000)
    assert [p.name for p in written] == ["file.bin.part00", "file.bin.part01", "file.bin.part02", "file.bin.parts.json"]
    path.unlink()
    assert parts_main([str(path)]) == 0
    assert path.read_bytes() == data
    path.write_bytes(data[:900])
    assert [p.name for p in split_file(path, 1000)] == ["file.bin.part00", "file.bin.parts.json"]
    assert not (tmp_path / "file.bin.part02").exists()
    (tmp_path / "file.bin.part00").write_bytes(b"x" * 900)
    with pytest.raises(CheckpointCorrupt, match="part00"):
        join_parts(path)
    (tmp_path / "file.bin.part00").unlink()
    with pytest.raises(CheckpointMissing, match=r"part00.*no such file"):
        join_parts(path)
    assert path.read_bytes() == data[:900]  # nothing was harmed
    capsys.readouterr()
    assert parts_main([str(tmp_path / "other")]) == 1
    assert "other.parts.json" in capsys.readouterr().err


def test_a_run_goes_on_from_parts_alone(source: Path, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    place = Place(device="cpu", tensorboard=False, part_mb=0.05)
    train(recipe(steps=2), [source], here, place)
    there.mkdir()
    for part in here.glob("*.part*"):
        assert part.stat().st_size <= 50_000
        (there / part.name).write_bytes(part.read_bytes())
    assert has_parts(there / "state.pt")
    assert train(recipe(steps=3), [source], there, place)
    assert train(recipe(steps=3), [source], here, place)
    one, other = tensors(here), tensors(there)
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    joined = there / "joined" / "weights.safetensors"
    joined.parent.mkdir()
    for part in there.glob("weights.safetensors.part*"):
        (joined.parent / part.name).write_bytes(part.read_bytes())
    assert join_parts(joined).read_bytes() == (there / "weights.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--config", "nothing"], 2, "paper, small, smoke"),
        (["--device", "cuda"], 2, "no CUDA device"),
        (["--data", "no/such/place"], 1, "no/such/place"),
        (["--start-from", "none.safetensors"], 1, "none.safetensors"),
        (["--steps", "0"], 2, "'steps'"),
    ],
)
def test_mistakes_are_told_in_one_line(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, word: str
) -> None:
    common = ["--config", "smoke", "--out", str(tmp_path / "run"), "--device", "cpu"]
    data = [] if "--data" in arguments else ["--data", str(source)]
    if arguments[0] == "--device" and torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    assert main([*common, *data, *arguments]) == code
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert word in err


def test_validation_that_cannot_be_done_does_not_end_the_run(source: Path, tmp_path: Path) -> None:
    gone = write_source(tmp_path / "set")

    def remove(row: dict[str, object]) -> None:
        for path in gone.glob("*.jpg"):
            path.unlink(missing_ok=True)

    assert train(recipe(steps=3), [gone], tmp_path / "run", QUICK, noted=remove)
    assert load_checkpoint(tmp_path / "run/weights.safetensors").provenance["steps"] == 3


def test_a_bad_file_stops_a_run_before_it_starts_unless_told_otherwise(tmp_path: Path) -> None:
    source = write_source(tmp_path / "set")
    (source / "4.jpg").write_bytes(b"no picture")
    with pytest.raises(DatasetInvalid, match=r"4\.jpg"):
        train(recipe(steps=1), [source], tmp_path / "run", QUICK)
    lenient = Place(device="cpu", tensorboard=False, leave_out_bad=True)
    assert train(recipe(steps=1), [source], tmp_path / "run", lenient)


def test_the_smoke_recipe_runs_as_it_is(source: Path, tmp_path: Path) -> None:
    assert train(TrainConfig.load("smoke"), [source], tmp_path, QUICK)
