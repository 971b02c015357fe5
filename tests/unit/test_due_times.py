"""Due times of cron expressions: in both nights of daylight saving, and what is no expression."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from jobs.schedules.due import MOST_AT_ONCE, InvalidSchedule, check_cron, due_between, next_due

BERLIN = "Europe/Berlin"


def at(text: str) -> float:
    return datetime.fromisoformat(text).astimezone(UTC).timestamp()


def local(moments: list[float]) -> list[str]:
    return [datetime.fromtimestamp(each, ZoneInfo(BERLIN)).isoformat() for each in moments]


def test_due_times_follow_the_clock_on_the_wall() -> None:
    found = next_due("30 9 * * 1-5", BERLIN, at("2026-11-27T12:00:00+01:00"), 2)
    assert local(found) == ["2026-11-30T09:30:00+01:00", "2026-12-01T09:30:00+01:00"]


def test_the_night_without_an_hour() -> None:
    found = next_due("30 2 * * *", BERLIN, at("2026-03-28T12:00:00+01:00"), 2)
    assert local(found) == ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"], "once, and not left out"
    often = next_due("*/30 * * * *", BERLIN, at("2026-03-29T01:15:00+01:00"), 3)
    assert local(often) == ["2026-03-29T01:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"]


def test_the_night_with_an_hour_twice() -> None:
    found = next_due("30 2 * * *", BERLIN, at("2026-10-24T12:00:00+02:00"), 2)
    assert local(found) == ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"], "once"
    behind = next_due("30 2 * * *", BERLIN, at("2026-10-25T02:45:00+02:00"), 1)
    assert local(behind) == ["2026-10-26T02:30:00+01:00"], "not again in the second one"
    often = next_due("*/30 * * * *", BERLIN, at("2026-10-25T01:45:00+02:00"), 4)
    steps = [round(b - a) for a, b in itertools.pairwise(often)]
    assert steps == [1800, 1800, 1800], "every half hour, also through the hour that comes twice"


def test_a_moment_that_is_due_is_not_due_again() -> None:
    moment = at("2026-11-27T12:00:00+00:00")
    assert due_between("* * * * *", "UTC", moment, moment + 59) == []
    assert due_between("* * * * *", "UTC", moment, moment + 60) == [moment + 60]
    assert due_between("* * * * *", "UTC", moment - 0.001, moment) == [moment]
    assert len(due_between("* * * * *", "UTC", 0, moment)) == MOST_AT_ONCE


@pytest.mark.parametrize("zone", ["UTC", BERLIN, "Australia/Lord_Howe", "America/New_York"])
def test_looking_in_pieces_finds_the_same(zone: str) -> None:
    first, last = at("2026-10-24T00:00:00+00:00"), at("2026-10-27T00:00:00+00:00")
    whole = due_between("17,45 */3 * * *", zone, first, last)
    pieces, step = [], 1000.5
    while first < last:
        pieces += due_between("17,45 */3 * * *", zone, first, min(first + step, last))
        first = min(first + step, last)
    assert pieces == whole


@pytest.mark.parametrize(
    ("cron", "zone", "field"),
    [
        ("", "UTC", "cron"),
        ("* * * *", "UTC", "cron"),
        ("* * * * * *", "UTC", "cron"),
        ("61 * * * *", "UTC", "cron"),
        ("a b c d e", "UTC", "cron"),
        ("0 0 31 2 *", "UTC", "cron"),
        ("* * * * *", "Mars/Base", "zone"),
        ("* * * * *", "", "zone"),
        ("* * * * *", "../etc/passwd", "zone"),
    ],
)
def test_what_is_never_due_is_refused(cron: str, zone: str, field: str) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        check_cron(cron, zone)
    assert refused.value.field == field
