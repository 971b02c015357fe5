"""Parts of `nclscreen train`: what it shows, and when it need not start anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console
from support.training_material import recipe, write_source

from ncl_model.distributed.run_place import RunPlace
from ncl_model.training.plain import Place, train
from nclscreen.cli import output
from nclscreen.cli.app import run
from nclscreen.cli.training_view import TrainingView, training_view
from nclscreen.services.training_result import was_finished


def test_the_line_says_loss_speed_time_left_and_validation() -> None:
    view = TrainingView(None)
    assert view.line == "starting: workers, data"
    view.note({"step": 1200, "loss": 0.8312, "images_per_s": 12.34, "progress": 0.25, "elapsed_s": 100.0, "skipped": 0})
    assert view.line == "step 1,200, loss 0.831, 12.3 images/s, 5 min 00 s left"
    view.note({"pixel_f1": 0.4, "pixel_auc": 0.8, "image_auc": float("nan"), "skipped": 2})
    assert view.line.endswith("validation F1 0.400, pixel AUC 0.800, 2 steps left out")


def test_a_validation_shows_how_far_it_has_come() -> None:
    view = TrainingView(None)
    view.note({"validated": 3, "to_validate": 337})  # of a run that was killed before its last weights
    assert view.line == "validating 3 of 337 images"
    view.note({"step": 1200, "loss": 0.8, "progress": 1.0, "elapsed_s": 100.0, "validated": 12})
    assert view.line == "step 1,200, loss 0.800, validating 12 of 337 images"
    view.note({"validated": 337, "pixel_f1": 0.4})
    assert view.line == "step 1,200, loss 0.800, 0 s left, validation F1 0.400"


def test_a_terminal_gets_a_bar_and_a_file_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal in (True, False):
        console = Console(force_terminal=terminal, width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
        monkeypatch.setattr(output, "err", console)
        with training_view() as view:
            view.note({"step": 3, "loss": 1.5, "progress": 0.5, "elapsed_s": 10.0})
            view.saving()
            view.saving()
        shown = console.export_text()
        assert shown.count("saving, then stopping") == 1
        assert ("step 3, loss 1.500, 10 s left" in shown) != terminal or "━" in shown
        console.file.close()


def test_a_finished_run_is_known_without_starting_anything(tmp_path: Path) -> None:
    source, out = write_source(tmp_path / "set"), tmp_path / "run"
    place = RunPlace(path=str(out))
    assert not was_finished(recipe(), place)
    train(recipe(steps=2), [source], out, Place(device="cpu", tensorboard=False))
    assert was_finished(recipe(steps=2), place)
    assert not was_finished(recipe(steps=3), place)
    assert not was_finished(recipe(steps=None, minutes=5), place)
    assert not was_finished(recipe(steps=2, network=recipe().network.__class__()), place)
    (out / "weights.safetensors").write_bytes(b"broken")
    assert not was_finished(recipe(steps=2), place)


def test_a_wrong_recipe_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.yaml").write_text("batch_size: none")
    assert run(["train", str(tmp_path / "mine.yaml"), "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    told = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "batch_size" in told
    assert "a whole number from 2 to 65536" in told


def test_a_run_that_goes_on_says_so_and_a_finished_one_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = write_source(tmp_path / "set"), tmp_path / "run"
    train(recipe(steps=2), [source], out, Place(device="cpu", tensorboard=False))
    (tmp_path / "mine.json").write_text(json.dumps(recipe(steps=3).to_dict()))
    command = ["train", str(tmp_path / "mine.json"), "--data", str(source), "--out", str(out), "--workers", "0"]
    assert run(command) == 0
    told = capsys.readouterr()
    assert told.err.count("going on from the saved state of step 2\n") == 1
    assert run(command) == 0
    assert "finished before: nothing was done" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--workers", "4-1"], 2, "'4-1' is no number of workers"),
        (["--out", ""], 2, "give a folder or s3://bucket/prefix"),
        (["--out", "/proc/nothing"], 1, "/proc/nothing: cannot write the results"),
        (["--data", "no\x1b[31m/such"], 1, "no\\x1b[31m/such: no such file or folder"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], code: int, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"--data": str(tmp_path), "--out": str(tmp_path / "out"), "--workers": "0"} | dict([arguments])
    assert run(["train", "smoke", *(part for pair in given.items() for part in pair)]) == code
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert word in err
    assert "\x1b" not in err
