"""`nclscreen screen` through real Ray, real Serve and a real model: every file accounted for, nothing left behind."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from support.flow_program import Program, press_ctrl_c, processes_of, wait_until
from support.odd_images import encoded, make_odd_corpus, photo

pytestmark = pytest.mark.cluster

IMAGES = 240
JOB_FIELDS = {"id", "state", "counts", "model", "threshold", "source", "started_at", "finished_at"}


def test_every_odd_file_gets_its_verdict_or_its_code(program: Program, tmp_path: Path) -> None:
    odd = make_odd_corpus(tmp_path / "odd")

    done = program("screen", str(tmp_path / "odd"), "--threshold", "0", "--report", str(tmp_path / "report"), "--json")

    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout)
    assert job.keys() >= JOB_FIELDS
    failures = sum(file.code is not None for file in odd)
    scored = len(odd) - failures
    assert job["state"] == "completed"
    counts = job["counts"]
    assert counts["scored"] + counts["reused"] == scored  # some are the same photograph under several names
    assert (counts["total"], counts["flagged"], counts["failed"]) == (len(odd), scored, failures)
    assert job["ignored"] == 1  # notes.txt
    assert job["untestable"] == {}, "this model has one kind of evidence"

    rows = _verdicts(program, job["id"])
    assert {key: code for key, code, _ in rows} == {file.name: file.code for file in odd}
    assert {key: size for key, code, size in rows if code is None} == {
        file.name: file.size for file in odd if file.code is None
    }
    assert processes_of(program) == []

    page = (tmp_path / "report" / "index.html").read_text()
    assert "completed" in page
    assert "huge-header.png" in page
    _check_queries(program, job["id"], tmp_path)


def _check_queries(program: Program, job_id: str, tmp_path: Path) -> None:
    """The commands that look at what was found, on the same database."""
    listed = program.json("jobs")["jobs"]
    assert [job["id"] for job in listed] == [job_id]
    shown = program.json("job", job_id)
    assert shown["counts"] == listed[0]["counts"]
    assert shown["error_codes"]["not_found"] == 2

    flagged = program.json("flagged", "--job", job_id, "--limit", "0")["images"]
    assert len(flagged) == shown["counts"]["flagged"]
    scores = [image["score"] for image in flagged]
    assert scores == sorted(scores, reverse=True)
    assert [image["key"] for image in program.json("flagged", "--prefix", "inside/")["images"]] == [
        "inside/a/folder.jpeg"
    ]
    beyond = program.json("flagged", "--min-score", "1")["images"]
    assert all(image["score"] == 1 for image in beyond)

    picture = tmp_path / "out" / "rotated.png"
    assert program("show", "--job", job_id, "rotated.jpg", "--out", str(picture)).returncode == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    unreadable = program("show", "--job", job_id, "truncated.jpg", "--out", str(picture))
    assert unreadable.returncode == 1
    assert "corrupt" in unreadable.stderr


def test_a_second_run_is_a_new_job_with_the_same_verdicts(program: Program, tmp_path: Path) -> None:
    _write_photos(tmp_path / "photos", 12)
    first = program.json("screen", str(tmp_path / "photos"))
    second = program.json("screen", str(tmp_path / "photos"))
    assert first["id"] != second["id"]
    none = {"total": 12, "flagged": 0, "failed": 0}
    assert first["counts"] == none | {"scored": 12, "reused": 0}
    assert second["counts"] == none | {"scored": 0, "reused": 12}
    assert _scores(program, first["id"]) == _scores(program, second["id"])


def test_ctrl_c_keeps_what_is_done_and_the_job_can_be_resumed(program: Program, tmp_path: Path) -> None:
    _write_photos(tmp_path / "photos", IMAGES, side=400)
    screening = program.start("screen", str(tmp_path / "photos"), "--threshold", "1")
    wait_until(lambda: _recorded(program) > 0, "the first verdicts")

    code, out, err = press_ctrl_c(screening)

    assert code == 130, err
    assert out == ""
    assert "interrupted" in err
    assert "Traceback" not in err
    job = program.json("jobs")["jobs"][0]
    assert job["state"] == "running"
    assert 0 < job["counts"]["scored"] < IMAGES
    assert _leased(program) == 0
    assert processes_of(program) == []

    resumed = program.json("screen", "--resume", job["id"])
    assert resumed["id"] == job["id"]
    assert resumed["counts"] == {"total": IMAGES, "scored": IMAGES, "flagged": 0, "reused": 0, "failed": 0}
    assert len(_scores(program, job["id"])) == IMAGES


def _write_photos(folder: Path, count: int, side: int = 96) -> None:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:04d}.jpg").write_bytes(encoded(photo(side, side, seed=number), "JPEG"))


def _connect(program: Program) -> sqlite3.Connection:
    return sqlite3.connect(Path(program.env["NCLSCREEN_HOME"]) / "nclscreen.sqlite")


def _verdicts(program: Program, job_id: str) -> list[tuple[str, str | None, tuple[int, int] | None]]:
    query = "SELECT key, error_code, width, height FROM verdicts WHERE job_id = ?"
    with _connect(program) as database:
        rows = database.execute(query, (job_id,)).fetchall()
    return [(key, code, (width, height) if width else None) for key, code, width, height in rows]


def _scores(program: Program, job_id: str) -> dict[str, float]:
    with _connect(program) as database:
        return dict(database.execute("SELECT key, score FROM verdicts WHERE job_id = ?", (job_id,)).fetchall())


def _recorded(program: Program) -> int:
    path = Path(program.env["NCLSCREEN_HOME"]) / "nclscreen.sqlite"
    if not path.exists():
        return 0
    with _connect(program) as database:
        tables = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'verdicts'").fetchone()[0]
        return int(database.execute("SELECT count(*) FROM verdicts").fetchone()[0]) if tables else 0


def _leased(program: Program) -> int:
    with _connect(program) as database:
        return int(database.execute("SELECT count(*) FROM shards WHERE state = 'leased'").fetchone()[0])
