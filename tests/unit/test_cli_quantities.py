"""Sizes and times as people write them on a command line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from nclscreen.quantities import area_in_words, counted, moment, rounded, score_in_words, size_in_bytes, size_in_words

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("500", 500),
        ("10KB", 10_000),
        ("10 kib", 10_240),
        ("1.5MB", 1_500_000),
        ("2GiB", 2 << 30),
        ("3k", 3000),
        ("0", 0),
    ],
)
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    assert size_in_bytes(text) == size


@pytest.mark.parametrize("text", ["", "KB", "10 XB", "-5", "1e3", "10KB5", "ten", "1,000"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is no size; write 500, 10KB"):
        size_in_bytes(text)


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 KB"), (41_234_567_890, "41.2 GB")]
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert size_in_words(size) == words


@pytest.mark.parametrize("value", [0.32849, 0.3285, 0.32851, 0.12346, 0.99995, 0.0, 1.0])
def test_a_score_and_an_area_read_the_same_from_a_document(value: float) -> None:
    assert score_in_words(value) == score_in_words(rounded(value)) == f"{round(value, 4):.3f}"
    assert area_in_words(value) == area_in_words(rounded(value)) == f"{round(value, 4):.1%}"


@pytest.mark.parametrize(("number", "words"), [(0, "0 images"), (1, "1 image"), (5312, "5,312 images")])
def test_counts_of_things(number: int, words: str) -> None:
    assert counted(number, "image") == words


@pytest.mark.parametrize(
    ("text", "instant", "is_relative"),
    [
        ("7d", "2026-05-25T12:00:00+00:00", True),
        ("12h", "2026-06-01T00:00:00+00:00", True),
        ("30 m", "2026-06-01T11:30:00+00:00", True),
        ("2W", "2026-05-18T12:00:00+00:00", True),
        ("2026-05-17", "2026-05-17T00:00:00+00:00", False),
        ("2026-05-17T10:00", "2026-05-17T10:00:00+00:00", False),
        ("2026-05-17T10:00:30+02:00", "2026-05-17T08:00:30+00:00", False),
        ("2026-05-17T10:00:00Z", "2026-05-17T10:00:00+00:00", False),
    ],
)
def test_times_as_people_write_them(text: str, instant: str, is_relative: bool) -> None:
    assert moment(text, NOW) == (datetime.fromisoformat(instant).timestamp(), is_relative)


@pytest.mark.parametrize("text", ["", "yesterday", "7", "7y", "-7d", "2026-13-01", "17.05.2026"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is no time; write 2026-05-17"):
        moment(text, NOW)


@pytest.mark.parametrize(
    "text",
    ["999999999d", "9" * 30 + "d", "9" * 400 + "d", "0001-01-01T00:00+14:00", "9999-12-31T23:59:59-12:00"],
)
def test_a_time_that_no_calendar_has_is_refused(text: str) -> None:
    # it was stored, and from then on no list of jobs could be printed
    with pytest.raises(ValueError, match="is before the year 1 or after the year 9999"):
        moment(text, NOW)
