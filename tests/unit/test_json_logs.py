"""Logs for machines: one object a line, whatever is in it, with the job it is about and without secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from support.builders import Bench, entries, ready_job
from support.queueing import claim

from jobs.domain import JobId
from jobs.log_context import about, job_spoken_of
from jobs.outcomes import OutcomeRecorder
from jobs.ports import Outcome, OutcomeKind
from nclscreen.api.server import _server
from nclscreen.logs import log_json, start_logging
from nclscreen.settings import Settings

NAMES = ("jobs", "nclscreen", "uvicorn")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [(each.handlers, each.level, each.propagate) for each in loggers]
    yield
    for each, (handlers, level, propagate) in zip(loggers, before, strict=True):
        for handler in set(each.handlers) - set(handlers):
            handler.close()
        each.handlers, each.level, each.propagate = handlers, level, propagate


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO())


def told(console: Console) -> list[dict[str, Any]]:
    assert isinstance(console.file, io.StringIO)
    return [json.loads(line) for line in console.file.getvalue().splitlines()]


def test_a_line_has_its_fields_and_a_hostile_name_stays_in_its_string(tmp_path: Path, console: Console) -> None:
    path = start_logging(tmp_path, console, "json")
    logging.getLogger("jobs.test").info("cannot read %s", 'a"\n{"level": "error"}\u2028\x1b[31m')
    (line,) = told(console)
    assert set(line) == {"time", "level", "logger", "message", "process"}
    assert (line["level"], line["logger"]) == ("info", "jobs.test")
    assert line["message"] == 'cannot read a"\n{"level": "error"}\u2028\x1b[31m'
    assert line["time"].endswith("+00:00")
    assert [json.loads(each) for each in path.read_text().splitlines()] == [line]
    assert path.read_text().isascii()


def test_a_traceback_is_one_line_and_secrets_are_out_of_it(console: Console) -> None:
    log_json(console)
    try:
        raise RuntimeError("cannot connect to postgresql://me:hunter2-very@db/x")
    except RuntimeError:
        logging.getLogger("nclscreen").exception("no database at postgresql://me:hunter2-very@db/x")
    (line,) = told(console)
    assert "RuntimeError: cannot connect to postgresql://me:***@db/x" in line["exception"]
    assert "hunter2" not in json.dumps(line)


def test_what_is_said_within_is_about_the_job(console: Console) -> None:
    log_json(console)
    logger = logging.getLogger("jobs")
    with about(JobId("one")):
        with about(None):
            logger.info("of none")
        logger.info("of one")
    logger.info("of none again")
    assert [each.get("job_id") for each in told(console)] == [None, "one", None]
    assert job_spoken_of() is None


def test_the_end_of_an_attempt_names_its_job(bench: Bench, console: Console) -> None:
    log_json(console)
    job_id = ready_job(bench.engine, entries(4))
    (lease,) = claim(bench.queue(), job_id=job_id)
    outcomes = OutcomeRecorder(bench.store, bench.queue(), storage_max_wait_s=60.0)
    outcomes.record(Outcome(lease=lease, kind=OutcomeKind.CRASHED, reason="its process died"))
    (line,) = told(console)
    assert (line["job_id"], line["level"]) == (job_id, "warning")


def test_the_web_server_speaks_as_the_rest(console: Console) -> None:
    log_json(console)
    _server(lambda: None)  # type: ignore[arg-type]
    logging.getLogger("uvicorn.error").error("it broke")
    assert [line["message"] for line in told(console)] == ["it broke"]


def test_text_is_what_people_get_unless_they_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().log_format == "text"
    monkeypatch.setenv("NCLSCREEN_LOG_FORMAT", "json")
    assert Settings().log_format == "json"
