"""What is told of a database that is away, and of a log that cannot be written."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from jobs.outage import Outage, StorageOutage, reason
from jobs.sql.errors import DatabaseAway
from nclscreen.logs import start_logging


def away(words: str = "the server closed the connection\n\tunexpectedly") -> DatabaseAway:
    return DatabaseAway("SELECT 1", {}, Exception(words))


def test_the_reason_is_what_the_driver_says() -> None:
    assert reason(away()) == "the server closed the connection"
    assert reason(away("")) == "DatabaseAway"
    assert reason(ValueError()) == "ValueError"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in seconds; to be set."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_an_outage_is_told_at_its_beginning_each_minute_and_at_its_end(
    caplog: pytest.LogCaptureFixture, clock: list[float]
) -> None:
    outage = Outage()
    outage.over()
    for _ in range(150):
        outage.record_failure("gone")
        clock[0] += 1
    outage.over()
    outage.over()
    outage.record_failure("again")
    assert [record.getMessage() for record in caplog.records] == [
        "the database is away, waiting for it: gone",
        "the database is still away, for 60 s now: gone",
        "the database is still away, for 120 s now: gone",
        "the database is back after 150 s",
        "the database is away, waiting for it: again",
    ]


def test_rests_grow_to_half_a_minute_and_patience_has_an_end(clock: list[float]) -> None:
    outage = StorageOutage("j", 3600.0)
    rests = []
    while (rest_s := outage.record_failure("slow down")) is not None:
        assert outage.resting
        rests.append(rest_s)
        clock[0] += rest_s
        assert not outage.resting
    assert rests[:8] == [1, 2, 4, 8, 16, 30, 30, 30]
    assert 3600 <= sum(rests) < 3630


def test_what_was_under_way_when_the_store_broke_down_counts_as_one_try(clock: list[float]) -> None:
    outage = StorageOutage("j", 3600.0)
    assert [outage.record_failure("slow down") for _ in range(8)] == [1.0] * 8
    clock[0] += 1.0
    assert [outage.record_failure("slow down") for _ in range(8)] == [2.0] * 8


def test_a_store_that_gives_out_some_images_and_never_others_is_not_waited_for_for_ever(clock: list[float]) -> None:
    outage = StorageOutage("j", 3600.0)
    waited = 0.0
    while (rest_s := outage.record_failure("slow down")) is not None:
        clock[0] += rest_s
        waited += rest_s
        outage.answered()
        assert waited < 5000
    clock[0] += 500
    assert outage.record_failure("slow down") is None  # the same trouble still
    outage.answered()
    clock[0] += 601
    assert outage.record_failure("slow down") == 1.0  # another one


def test_a_store_that_never_answered_gets_no_second_patience(clock: list[float]) -> None:
    outage = StorageOutage("j", 3600.0)
    assert outage.record_failure("slow down") == 1.0
    clock[0] += 4000
    assert outage.record_failure("slow down") is None


@pytest.fixture
def console() -> Iterator[Console]:
    """People's console; the program's loggers are afterwards as before."""
    loggers = [logging.getLogger(name) for name in ("jobs", "nclscreen")]
    before = [(each, each.level, each.propagate, each.handlers) for each in loggers]
    yield Console(file=StringIO(), width=500)
    for each, level, propagate, handlers in before:
        for handler in each.handlers:
            with suppress(OSError):  # what the full disk did not take
                handler.close()
        each.setLevel(level)
        each.propagate = propagate
        each.handlers = handlers


def lines(console: Console) -> list[str]:
    assert isinstance(console.file, StringIO)
    return [line.strip() for line in console.file.getvalue().splitlines()]


def test_a_log_on_a_full_disk_is_told_once_and_costs_people_no_warning(
    tmp_path: Path, console: Console, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "nclscreen.log").symlink_to("/dev/full")
    log = start_logging(tmp_path, console)
    for number in range(3):
        logging.getLogger("jobs").warning("warning %d", number)
    said = lines(console)
    assert [line for line in said if "cannot be written" in line] == [
        f"the log {log} cannot be written: No space left on device"
    ]
    assert [number for number in range(3) if any(line.endswith(f"warning {number}") for line in said)] == [0, 1, 2]
    assert capfd.readouterr().err == ""


def test_without_a_place_for_the_log_people_are_told_and_hear_the_rest(tmp_path: Path, console: Console) -> None:
    (tmp_path / "logs").write_text("a file in the way")
    log = start_logging(tmp_path, console)
    logging.getLogger("nclscreen").warning("heard")
    first, second = lines(console)
    assert first == f"the log {log} cannot be written: File exists"
    assert second.endswith("heard")
