"""Mistakes and mischief: what people give the programs by accident or on purpose, and how they are told."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support.data_sets import make_indexed, save_photo
from support.training_material import recipe, write_source

from ncl_model.ablation import main as ablation
from ncl_model.command_line import ended
from ncl_model.data.file_bytes import read_file
from ncl_model.data.inspection import inspect_sources
from ncl_model.data.problems import Problem, refuse
from ncl_model.errors import CheckpointCorrupt, ConfigInvalid, DatasetInvalid, FolderInUse, OutputUnwritable
from ncl_model.evaluation.__main__ import main as evaluation
from ncl_model.evaluation.evaluation_run import EvaluationRun, read_sets
from ncl_model.inference.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ncl_model.inference.device import device_named
from ncl_model.inference.predictor import Predictor
from ncl_model.release import main as release
from ncl_model.training.__main__ import main as training
from ncl_model.training.plain import Place, train
from ncl_model.training.recipe import TrainConfig
from ncl_model.training.run_files import RunFiles
from ncl_model.training.run_log import RunLog, read_metrics
from ncl_model.training.run_names import METRICS
from ncl_model.writing import sole_writer

Program = Callable[[Sequence[str]], int]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_indexed(tmp_path_factory.mktemp("sets") / "set", count=4)


# --- files that are no files ---


def test_devices_and_pipes_are_never_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), tmp_path):
        with pytest.raises(OSError, match="not a regular file"):
            read_file(path)
    with pytest.raises(OSError, match="no name of a file"):
        read_file(tmp_path / "a\0b.jpg")


def test_files_too_large_for_memory_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "endless.jpg"
    with path.open("wb") as file:
        file.truncate(5_000)
    assert len(read_file(path)) == 5_000
    with pytest.raises(OSError, match="more than 4,999 bytes"):
        read_file(path, max_bytes=4_999)


def test_a_list_that_names_a_device_neither_blocks_nor_fills_the_memory(folder: Path, weights: Path) -> None:
    lines = (folder / "index.csv").read_text()
    (folder / "worse.csv").write_text(f"{lines}/dev/zero,,device\nimages/0.png,/dev/zero,mask\n")
    found = inspect_sources([folder / "worse.csv"])
    assert sorted(problem.kind for problem in found.problems) == ["missing_image", "missing_mask"]

    run = EvaluationRun(Predictor.setup(weights), resave=True)
    run.run(read_sets([folder / "worse.csv"]))
    assert len(run.results[0].problems) == 2


# --- lists with paths of every kind ---


def test_a_list_may_name_files_by_whole_paths_and_by_relative_ones(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = save_photo(tmp_path / "elsewhere/b.png")
    save_photo(tmp_path / "set/a.png")
    (tmp_path / "set/index.csv").write_text(f"image,mask,group\na.png,,1\n{elsewhere},,2\n")
    monkeypatch.chdir(tmp_path)
    (labelled,) = read_sets([Path("set")])
    assert [labelled.name_of(sample) for sample in labelled.samples] == ["set/a.png", "elsewhere/b.png"]


def test_problems_cannot_write_to_the_terminal() -> None:
    problem = Problem(kind="row", where="a\x1b[31m.csv, line 2", message="no file b\nerror: c")
    with pytest.raises(DatasetInvalid) as caught:
        refuse([problem])
    assert "\x1b" not in str(caught.value)
    assert "no file b\\nerror: c" in str(caught.value)


# --- the programs ---


@pytest.mark.parametrize("program", [training, evaluation, ablation])
def test_a_wrong_path_is_one_line(program: Program, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert program(["--data", "no/such\x1b[1m/place", "--out", str(tmp_path / "out")]) == 1
    err = capsys.readouterr().err
    assert err == "error: no/such\\x1b[1m/place: no such file or folder\n"


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--weights", "none.safetensors"], 1, "none.safetensors: no such file"),
        (["--weights", "."], 1, "is a folder, not a weights file"),
        (["--device", "banana"], 2, "torch cannot compute on 'banana'"),
        (["--device", "meta"], 2, "torch cannot compute on 'meta'"),
        (["--out", "/proc/nothing"], 1, "/proc/nothing: cannot write the results"),
    ],
)
def test_mistakes_of_an_evaluation_are_one_line(
    arguments: list[str], code: int, word: str, weights: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [] if "--weights" in arguments else ["--weights", str(weights)]
    assert evaluation([*given, "--data", str(folder), *arguments]) == code
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert word in err


@pytest.mark.parametrize("limit", ["0", "-3", "many"])
def test_an_evaluation_of_no_images_is_refused(limit: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        evaluation(["--data", str(folder), "--limit", limit])
    assert caught.value.code == 2
    assert f"'{limit}' is not a whole number from 1 on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--run", "none.safetensors"], "none.safetensors: no such file"),
        (["--out", "."], "it is a folder, a file is wanted"),
        (["--out", "/proc/nothing/w.safetensors"], "cannot write the results"),
        (["--data", "nowhere"], "nowhere: no such file or folder"),
        ([], "does not say which photographs were held out"),
    ],
)
def test_mistakes_of_a_release_are_one_line(
    arguments: list[str], word: str, weights: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run.safetensors"
    known = {} if not arguments else {"recipe": {"held_out": 0.5, "seed": 1}}
    checkpoint = load_checkpoint(weights)
    save_checkpoint(run, type(checkpoint)(**{**vars(checkpoint), "provenance": known}))
    given = {"--run": str(run), "--data": str(folder), "--out": str(tmp_path / "x")} | dict(
        [arguments] if arguments else []
    )
    assert release([part for pair in given.items() for part in pair]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert word in err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("option", "value", "word"),
    [
        ("--workers", "-1", "'-1' is not a whole number from 0 on"),
        ("--part-mb", "0", "'0' is not a number above 0"),
        ("--part-mb", "nan", "'nan' is not a number above 0"),
    ],
)
def test_numbers_that_make_no_sense_are_wrong_usage(
    option: str, value: str, word: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        training(["--config", "smoke", "--data", str(folder), "--out", str(tmp_path / "x"), option, value])
    assert caught.value.code == 2
    assert word in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_ctrl_c_before_anything_was_done_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    assert ended(interrupted) == 130
    assert capsys.readouterr().err == ""


def test_a_reader_that_goes_away_is_no_traceback(weights: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "ncl_model.evaluation", "--weights", str(weights), "--data", str(folder), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()
        assert process.wait(60) == 1
    assert "Traceback" not in err
    assert "Broken" not in err


def test_devices_by_name() -> None:
    assert device_named("cpu").type == "cpu"
    with pytest.raises(ConfigInvalid, match=r"'cuda:99'.*take cpu"):
        device_named("cuda:99")


# --- folders of results ---


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nothing"])
def test_a_run_that_cannot_write_says_so(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("something else")
    source = write_source(tmp_path / "set")
    out = tmp_path / place
    with pytest.raises(OutputUnwritable, match=rf"^{out}: cannot write the results"):
        train(recipe(steps=1), [source], out, Place(device="cpu", tensorboard=False))
    assert (tmp_path / "file").read_text() == "something else"


def test_a_full_disk_leaves_the_last_saved_files(tmp_path: Path) -> None:
    """The limit on the size of files stands for the disk: the system's answer reaches torch and safetensors alike."""
    source, out = write_source(tmp_path / "set"), tmp_path / "run"
    place = Place(device="cpu", tensorboard=False)
    assert train(recipe(steps=1), [source], out, place)
    before = {path: path.read_bytes() for path in (RunFiles(out=out).state, RunFiles(out=out).weights)}
    for method in ("save_state(files.load_state())", "save_weights(load_checkpoint(files.weights))"):
        code = f"""
import resource, sys
from pathlib import Path
from ncl_model.inference.checkpoint import load_checkpoint
from ncl_model.errors import OutputUnwritable
from ncl_model.training.run_files import RunFiles
from ncl_model.training.run_log import RunLog, read_metrics
from ncl_model.training.run_names import METRICS
files = RunFiles(out=Path({str(out)!r}))
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    files.{method}
except OutputUnwritable as error:
    sys.exit(3)
"""
        done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120)
        assert done.returncode == 3, done.stderr
    assert {path: path.read_bytes() for path in before} == before
    assert not list(out.glob("*.partial"))


def test_a_disk_that_fills_up_under_a_run_is_told_in_one_line(tmp_path: Path) -> None:
    """Whole runs, with TensorBoard's files: what ends the run is not hidden by what fails after it."""
    source, config = write_source(tmp_path / "set"), tmp_path / "tiny.json"
    config.write_text(json.dumps(recipe(steps=2).to_dict()))
    code = f"""
import resource, sys
from ncl_model.training.__main__ import main
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
sys.exit(main(["--config", {str(config)!r}, "--data", {str(source)!r}, "--out", {str(tmp_path / "run")!r}]))
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    assert "cannot write the results (File too large); name another place, or make room" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_goes_on_without_tensorboard_when_its_files_cannot_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = RunLog(tmp_path, step=0, tensorboard=True)
    assert log._board is not None
    log._board.close()

    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    log._board.add_scalar = refuse
    log.row("step", {"step": 1, "samples": 16, "loss": 0.5})
    log.row("step", {"step": 2, "samples": 32, "loss": 0.4})
    log.draw()
    log.close()
    assert [row["step"] for row in read_metrics(tmp_path / METRICS)] == [1, 2]
    assert [r.message for r in caplog.records] == [
        "TensorBoard files are not written any more: No space left on device"
    ]


def test_two_runs_never_share_a_folder(weights: Path, folder: Path, tmp_path: Path) -> None:
    source, out = write_source(tmp_path / "set"), tmp_path / "run"
    code = f"""
from pathlib import Path
from ncl_model.writing import sole_writer
with sole_writer(Path({str(out)!r})):
    print("at work", flush=True)
    input()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "at work\n"
        with pytest.raises(FolderInUse, match=r"run: another run is at work in this folder"):
            train(recipe(steps=1), [source], out, Place(device="cpu", tensorboard=False))
        with pytest.raises(FolderInUse):
            EvaluationRun(Predictor.setup(weights), out).run(read_sets([folder]))
        other.kill()  # however it ends, the folder is free again
        other.wait()
    with sole_writer(out):
        pass
    assert train(recipe(steps=1), [source], out, Place(device="cpu", tensorboard=False))


def test_a_run_without_end_is_no_recipe() -> None:
    with pytest.raises(ConfigInvalid, match="minutes"):
        TrainConfig(minutes=float("inf"))


@pytest.mark.parametrize("damage", [b"hello", b"", b"PK\x03\x04", b"\x80\x02."])
def test_a_saved_state_that_is_none_is_told_with_what_to_do(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(damage)
    with pytest.raises(CheckpointCorrupt, match=r"state\.pt: not a complete saved state .*Remove it"):
        RunFiles(out=tmp_path).load_state()


@pytest.mark.parametrize("weights_left", ["none", "broken", "older"])
def test_a_run_killed_before_its_last_weights_writes_them_when_started_again(weights_left: str, tmp_path: Path) -> None:
    source, out = write_source(tmp_path / "set"), tmp_path / "run"
    place = Place(device="cpu", tensorboard=False)
    weights = RunFiles(out=out).weights
    train(recipe(steps=2), [source], out, place)
    older = weights.read_bytes()
    train(recipe(steps=4), [source], out, place)
    last = weights.read_bytes()
    left = {"none": None, "broken": last[:100], "older": older}[weights_left]
    weights.unlink()
    if left is not None:
        weights.write_bytes(left)

    assert train(recipe(steps=4), [source], out, place)

    assert load_checkpoint(weights).fingerprint("float32") == load_checkpoint_of(last, tmp_path).fingerprint("float32")
    assert load_checkpoint(weights).metrics["validation"]


def load_checkpoint_of(data: bytes, folder: Path) -> Checkpoint:
    path = folder / "copy.safetensors"
    path.write_bytes(data)
    return load_checkpoint(path)
