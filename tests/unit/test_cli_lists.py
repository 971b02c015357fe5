"""Lists on standard output: what waits can be read, and a long name makes its own line longer and no other."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from support.builders import entries, new_job, ready_job
from support.odd_images import encoded, photo
from support.tiny_model import save_tiny_model

from nclscreen.cli import output
from nclscreen.cli.app import run
from nclscreen.cli.job_list import print_jobs
from nclscreen.documents import job_document
from nclscreen.services.job_view import NOBODY
from nclscreen.wiring import Wiring, wire

#: longer than any console is wide
LONG = "s3://photographs/" + "x" * 12_000 + ".jpg"


def test_that_nobody_works_is_said_in_full(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    ready_job(wiring.engine, entries(1))
    wiring.jobs.submit(new_job())
    assert run(["jobs"]) == 0
    _, *rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2
    assert all(f"  {NOBODY}  " in row for row in rows)


@pytest.mark.parametrize(
    ("waits", "shown"),
    [
        (
            "its model waits for room: no more than 2 are hosted at once, as NCLSCREEN_MAX_HOSTED_MODELS says",
            "its model waits for room: no more than 2 are hosted at once…",
        ),
        (
            "the weights of its model are not known here: neither installed, nor at file:///models/x.safetensors",
            "the weights of its model are not known here: neither instal…",
        ),
        ("s3://photos: 8 of 8 images\ncould not be read", "s3://photos: 8 of 8 images\\ncould not be read"),
    ],
)
def test_what_a_job_waits_for_keeps_its_beginning(
    wiring: Wiring, capsys: pytest.CaptureFixture[str], waits: str, shown: str
) -> None:
    job = wiring.jobs.get(wiring.jobs.submit(new_job()))
    print_jobs([job_document(job) | {"waits_for": waits}], asked=False, begin="")
    assert f"  {shown}  " in capsys.readouterr().out


def test_a_long_key_makes_its_own_line_longer_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(("score", "image"), [("0.5", "[b]short.jpg"), ("0.25", LONG), ("", "写真.jpg"), ("-", "")])
    assert capsys.readouterr().out.splitlines() == [
        "score  image",
        "0.5    [b]short.jpg",
        f"0.25   {LONG}",
        "       写真.jpg",
        "-",
    ]


def test_a_terminal_gets_no_padding_either(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    terminal = Console(file=stream, force_terminal=True, color_system=None, width=40, highlight=False)
    monkeypatch.setattr(output, "out", terminal)
    output.print_table(("score", "image"), [("0.5", "short.jpg"), ("0.25", "x" * 50)])
    lines = stream.getvalue().replace("\x1b[0m", "").replace("\x1b[1m", "").splitlines()
    assert [line.rstrip() for line in lines] == lines
    assert max(map(len, lines)) <= 40
    assert "".join(lines).count("x") == 50


def test_scores_of_a_long_path_and_of_a_short_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NCLSCREEN_WEIGHTS", str(save_tiny_model(tmp_path / "tiny.safetensors")))
    wire.cache_clear()
    folder = tmp_path / ("d" * 200)
    folder.mkdir()
    names = [folder / "long.jpg", tmp_path / "short.jpg"]
    for name in names:
        name.write_bytes(encoded(photo(), "JPEG"))
    try:
        assert run(["score", *map(str, names), str(folder / "gone.jpg"), str(folder)]) == 1
    finally:
        wire.cache_clear()
    said = capsys.readouterr()
    heading, *rows = said.out.splitlines()
    assert heading.endswith("image")
    assert [row.split()[-1] for row in rows] == [*map(str, names), str(folder / "gone.jpg"), str(folder)]
    assert len(rows[1]) < 200
    assert all(line == line.rstrip() for line in (heading, *rows))
    assert said.err == f"note: all photographs of a folder: nclscreen screen {folder}\n"
