"""Submitting from the command line: what may be asked, how it is written, and which mistakes are told."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from builders import entries, ready_job
from sqlalchemy import update
from tiny_model import save_tiny_model

from jobs.database import writing
from jobs.domain import FailureThreshold, Filters, JobId
from jobs.states import JobState
from jobs.tables import jobs
from nclscreen import report
from nclscreen.cli import confirming
from nclscreen.cli.app import run
from nclscreen.cli.requests import make_filters, make_options
from nclscreen.cli.screen import run_to_the_end
from nclscreen.cli.submission_options import Asked
from nclscreen.wiring import Wiring, wire

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture
def wiring(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wiring]:
    """The wiring that the commands use, with an empty home, a tiny model, and photographs in the current folder."""
    monkeypatch.setenv("NCLSCREEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NCLSCREEN_WEIGHTS", str(weights))
    (tmp_path / "photos").mkdir()
    for number in range(12):
        (tmp_path / "photos" / f"{number:02d}.jpg").write_bytes(b"x" * (number + 1) * 1000)
    monkeypatch.chdir(tmp_path)
    wire.cache_clear()
    yield wire()
    wire().engine.dispose()
    wire.cache_clear()


def submitted(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, object]:
    capsys.readouterr()
    assert run(["submit", *arguments, "--json"]) == code
    document: dict[str, object] = json.loads(capsys.readouterr().out)
    return document


def test_every_filter_arrives() -> None:
    asked = Asked(
        suffix=["jpg"],
        prefix="2026/",
        contains="IMG",
        modified_after="7d",
        modified_before="2026-05-30",
        min_size="10KB",
        max_size="50MB",
        sample=100,
        sample_seed=3,
    )
    filters, relative = make_filters(asked, NOW)
    assert filters == Filters(
        suffixes=(".jpg",),
        prefix="2026/",
        contains="IMG",
        modified_after=datetime(2026, 5, 25, 12, tzinfo=UTC).timestamp(),
        modified_before=datetime(2026, 5, 30, tzinfo=UTC).timestamp(),
        min_bytes=10_000,
        max_bytes=50_000_000,
        sample=100,
        sample_seed=3,
    )
    assert relative == {"modified_after": "7d"}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Asked(min_size="2MB", max_size="1MB"), "--min-size is larger than --max-size"),
        (Asked(modified_after="1d", modified_before="2d"), "--modified-after is later than --modified-before"),
        (Asked(modified_after="soon"), "--modified-after: 'soon' is no time"),
        (Asked(max_size="big"), "--max-size: 'big' is no size"),
        (Asked(sample_seed=2), "--sample-seed needs --sample"),
        (Asked(prefix="a\udcff"), "--prefix: .* is not text"),
        (Asked(suffix=[".jpg", ""]), "--suffix '' is no ending; write .jpg, or '\\*' for every name"),
        (Asked(suffix=["*."]), "--suffix '\\*.' is no ending"),
    ],
)
def test_filters_that_cannot_be_meant(asked: Asked, words: str) -> None:
    with pytest.raises(typer.BadParameter, match=words):
        make_filters(asked, NOW)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Asked(tag=[""]), "--tag takes 1 to 64"),
        (Asked(tag=[str(i) for i in range(21)]), "21 tags, 20 are the most"),
        (Asked(name="x" * 201), "--name takes 1 to 200"),
        (Asked(name="a\udcff"), "--name: .* is not text"),
        (Asked(webhook="ftp://host/x"), "is no address; write https://host/path"),
        (Asked(webhook="https:///x"), "is no address"),
        (Asked(webhook="http://host:0/x"), "is no address"),
        (Asked(webhook="http://host:x/"), "is no address"),
    ],
)
def test_options_that_cannot_be_meant(asked: Asked, words: str) -> None:
    with pytest.raises(typer.BadParameter, match=words):
        make_options(asked)


def test_a_job_has_all_that_was_asked(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    document = submitted(
        capsys, "photos", "--threshold", "0.25", "--name", "the week", "--tag", "b", "--tag", "a", "--tag", "b",
        "--priority", "-5", "--rescore", "--confirm", "--skip-bad-lines", "--max-failures", "0.1", "--min-sample", "7",
        "--webhook", "https://example.org/hook", "--completion-report", "reports", "--sample", "3",
    )  # fmt: skip
    job = wiring.jobs.get(str(document["id"]))
    assert (job.options.name, job.options.tags, job.options.priority) == ("the week", ("b", "a"), -5)
    assert (job.options.rescore, job.options.confirm, job.options.skip_bad_lines) == (True, True, True)
    assert job.options.failure_threshold == FailureThreshold(ratio=0.1, sample=7)
    assert (job.options.webhook, job.options.report) == ("https://example.org/hook", os.path.abspath("reports"))
    assert (job.threshold, job.policy, job.filters.sample) == (0.25, None, 3)
    assert document["submitted_before"] is False
    assert run(["job", job.id]) == 0
    shown = capsys.readouterr().out
    for words in ("the week", "b, a", "-5", "a sample of 3"):
        assert words in shown
    assert json.loads(json.dumps(document))["options"]["completion_report"] == os.path.abspath("reports")


def test_the_same_token_is_the_same_job_also_when_a_time_is_relative(
    wiring: Wiring, capsys: pytest.CaptureFixture[str]
) -> None:
    first = submitted(capsys, "photos", "--token", "t 1", "--modified-after", "7d")
    again = submitted(capsys, "photos", "--token", "t 1", "--modified-after", "7d")
    assert (again["id"], again["submitted_before"]) == (first["id"], True)
    assert len(wiring.jobs.latest()) == 1
    for other in (["photos", "--token", "t 1"], ["photos", "--token", "t 1", "--modified-after", "8d"]):
        assert run(["submit", *other]) == 1
        words = capsys.readouterr().err
        assert f"the token 't 1' belongs to job {first['id']}" in words.replace("\n", " ")
    assert submitted(capsys, "photos", "--token", "t 2", "--modified-after", "7d")["id"] != first["id"]


def test_the_whole_policy_is_kept_with_the_job(
    wiring: Wiring, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NCLSCREEN_WEIGHTS")  # the tiny model has no calibration
    wire.cache_clear()
    document = submitted(capsys, "photos", "--max-fpr", "0.05")
    policy = document["policy"]
    assert isinstance(policy, dict)
    assert policy["max_fpr"] == 0.05
    assert policy["threshold"] == document["threshold"]
    assert run(["jobs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["jobs"][0]["policy"] == policy
    assert run(["job", str(document["id"])]) == 0
    assert "for at most 5 % false alarms" in capsys.readouterr().out


def test_jobs_are_found_by_tag_name_and_state(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    weekly = submitted(capsys, "photos", "--tag", "weekly", "--tag", "a'b%", "--name", "The 100% Week")["id"]
    other = submitted(capsys, "photos", "--tag", "week")["id"]
    assert run(["cancel", str(other)]) == 0
    capsys.readouterr()

    def listed(*arguments: str) -> list[str]:
        assert run(["jobs", *arguments, "--json"]) == 0
        return [job["id"] for job in json.loads(capsys.readouterr().out)["jobs"]]

    assert listed("--tag", "weekly") == listed("--tag", "a'b%") == listed("--name", "100% w") == [weekly]
    assert listed("--state", "cancelled") == listed("--tag", "week") == [other]
    assert listed("--tag", "week", "--state", "preparing") == listed("--name", "_") == listed("--tag", "b") == []
    assert run(["jobs", "--tag", "none"]) == 0
    assert "no job is like that" in capsys.readouterr().err
    assert run(["jobs", "--state", "asleep"]) == 2


def test_screen_with_confirm_and_no_terminal_ends_with_the_job_waiting(
    wiring: Wiring, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["screen", "photos", "--confirm", "--min-size", "5KB"]) == 1
    said = capsys.readouterr().err.replace("\n", " ")
    job = wiring.jobs.latest()[0]
    assert job.state is JobState.AWAITING_CONFIRMATION
    assert f"job {job.id}: 8 images, 68.0 KB (4 files ignored)" in said
    assert "how long it takes is not known" in said
    assert f"let it go with 'nclscreen confirm {job.id}'" in said
    assert run(["confirm", job.id, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["state"], document["estimate"]["seconds"]) == ("ready", None)
    assert run(["confirm", job.id]) == 0  # again: nothing changes
    assert capsys.readouterr().out == f"job {job.id} is ready\n"
    assert run(["cancel", job.id]) == 0
    assert run(["confirm", job.id]) == 1
    refused = f"job {job.id} is cancelled; only a job that is awaiting_confirmation can be confirmed"
    assert refused in capsys.readouterr().err


@pytest.mark.parametrize("answer", [True, False])
def test_on_a_terminal_the_question_is_asked(wiring: Wiring, monkeypatch: pytest.MonkeyPatch, answer: bool) -> None:
    assert run(["submit", "photos", "--confirm"]) == 0
    job_id = wiring.jobs.latest()[0].id
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(confirming.output.err, "_force_terminal", True)
    monkeypatch.setattr(typer, "confirm", lambda *words, **how: answer)
    monkeypatch.setattr("nclscreen.cli.screen.running_session", _refused)
    if answer:
        with pytest.raises(RuntimeError, match="started"):
            run_to_the_end(wiring, job_id)
    else:
        run_to_the_end(wiring, job_id)
    state = wiring.jobs.get(job_id).state
    assert state is (JobState.READY if answer else JobState.AWAITING_CONFIRMATION)


def _refused(*arguments: object, **named: object) -> None:
    raise RuntimeError("started")


def test_yes_needs_no_terminal(wiring: Wiring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nclscreen.cli.screen.running_session", _refused)
    with pytest.raises(RuntimeError, match="started"):
        run(["screen", "photos", "--confirm", "--yes"])
    assert wiring.jobs.latest()[0].state is JobState.READY


def test_the_estimate_comes_from_completed_jobs_with_this_model(wiring: Wiring) -> None:
    fingerprint = wiring.model.fingerprint
    assert wiring.jobs.recent_speed(fingerprint) is None
    ids = [_completed(wiring, scored, 10.0) for scored in (10, 40, 20, 30, 60, 50)]
    _completed(wiring, 1000, 1.0, fingerprint="cd" * 32)
    _completed(wiring, 1000, 1.0, state=JobState.CANCELLED)
    speed = wiring.jobs.recent_speed(fingerprint)
    assert speed is not None
    assert speed.images_per_s == pytest.approx(4.0)  # the median of the last five
    assert speed.job_ids == tuple(ids[:0:-1])
    waiting = wiring.jobs.get(ready_job(wiring.engine, entries(100)))
    lines = confirming.summary(waiting, speed)
    assert lines == [
        f"job {waiting.id}: 100 images, 0 bytes",
        "about 25 s, at 4.0 images/s as in the last 5 jobs with this model",
    ]


_finished = iter(range(1000, 10_000))


def _completed(
    wiring: Wiring, scored: int, seconds: float, fingerprint: str = "", state: JobState = JobState.COMPLETED
) -> JobId:
    job_id = ready_job(wiring.engine, entries(1))
    end = float(next(_finished))
    with writing(wiring.engine) as connection:
        connection.execute(
            update(jobs)
            .where(jobs.c.id == job_id)
            .values(
                state=state.value,
                model_fingerprint=fingerprint or wiring.model.fingerprint,
                scored=scored,
                started_at=end - seconds,
                finished_at=end,
            )
        )
    return job_id


def test_problems_of_a_list_are_shown(wiring: Wiring, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos" / "list.csv").write_text("key,size\n00.jpg,1\n01.jpg,\x1b[31mred\n,2\n02.jpg,3\n")
    assert run(["screen", "photos/list.csv", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["state"] == "failed"
    assert document["error"].startswith("2 lines name no image in ")
    assert document["found"] == {"seen": 4, "bytes": 0, "unsized": 0, "bad_lines": 2}
    assert run(["job", document["id"], "--problems"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(
        "line 3: the size '\\x1b[31mred' is no whole number of bytes\nline 4: there is no key in it\n"
    )
    assert run(["job", document["id"], "--problems", "--json"]) == 0
    problems = json.loads(capsys.readouterr().out)
    assert (problems["bad_lines"], [each["line"] for each in problems["problems"]]) == (2, [3, 4])

    assert run(["screen", "photos/list.csv", "--skip-bad-lines", "--confirm"]) == 1
    assert "2 images, 4 bytes (2 bad lines left out)" in capsys.readouterr().err
    good = wiring.jobs.latest()[0].id
    assert run(["job", good]) == 0
    assert f"2; see them with: nclscreen job {good} --problems" in capsys.readouterr().out


def test_problems_of_a_list_that_cannot_be_read_at_all(
    wiring: Wiring, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos" / "list.csv").write_text("size,etag\n1,abc\n")
    assert run(["screen", "photos/list.csv", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert run(["job", document["id"], "--problems"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("no line is at fault by itself: ")
    assert "no column is named one of key" in printed.err
    assert run(["job", document["id"], "--problems", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["error"] == document["error"]


def test_resuming_takes_no_option_of_submission(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["screen", "--resume", "x", "--tag", "y"]) == 2
    assert "keeps what it was submitted with" in capsys.readouterr().err.replace("\n", " ")
    assert run(["screen", "--resume", "x"]) == 1
    assert "there is no job 'x'" in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["a-file", "a-file/report"])
def test_a_report_that_has_no_place_is_told_before_anything_begins(
    wiring: Wiring, tmp_path: Path, capsys: pytest.CaptureFixture[str], folder: str
) -> None:
    (tmp_path / "a-file").write_text("x")
    assert run(["screen", "photos", "--report", folder]) == 2
    assert f"--report '{folder}': {tmp_path}/a-file is no folder" in capsys.readouterr().err.replace("\n", " ")
    assert wiring.jobs.latest() == []


def test_a_job_is_shown_though_its_report_cannot_be_written(
    wiring: Wiring, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    (tmp_path / "photos" / "list.csv").write_text("size,etag\n1,abc\n")
    with monkeypatch.context() as patched:
        patched.setattr(report, "write_report", full)
        assert run(["screen", "photos/list.csv", "--report", "out", "--json"]) == 1
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert (document["state"], document["report"]) == ("failed", None)
    assert "cannot write the report into out: Read-only file system; the job's verdicts are kept" in printed.err
    assert f"nclscreen screen --resume {document['id']} --report FOLDER" in printed.err.replace("\n", " ")
    assert run(["screen", "--resume", document["id"], "--report", "out"]) == 1
    assert (tmp_path / "out" / "index.html").is_file()


@pytest.mark.parametrize("arguments", [["s3:/bucket/x"], ["photos", "--completion-report", "s3:/bucket/x"]])
def test_an_address_with_one_slash_is_no_folder(
    wiring: Wiring, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(["submit", *arguments]) == 2
    assert capsys.readouterr().err == "error: cannot use 's3:/bucket/x': write two slashes: s3://bucket/prefix\n"
    assert wiring.jobs.latest() == []
