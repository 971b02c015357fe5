"""Sizes, durations, moments, counts and scores as people write and read them: `10KB`, `7d`; `41.2 GB`, `3 min 05 s`."""

from __future__ import annotations

import re
from datetime import UTC, datetime

#: bytes of each unit: those with an i are powers of 1024, the others of 1000 (IEC 80000-13)
_UNITS: dict[str, int] = {
    "": 1,
    "b": 1,
    **{f"{letter}{i}b": (1024 if i else 1000) ** n for n, letter in enumerate("kmgt", 1) for i in ("", "i")},
    **{letter: 1000**n for n, letter in enumerate("kmgt", 1)},
}
_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([mhdw])")
#: digits of scores and areas in documents; the model's own noise is larger
_DIGITS = 4


def size_in_bytes(text: str) -> int:
    """`10KB` is 10,000 bytes, `10KiB` 10,240. Raises ValueError."""
    found = _SIZE.fullmatch(text.strip().lower())
    if found is None or found.group(2) not in _UNITS:
        raise ValueError(f"{text!r} is no size; write 500, 10KB, 1.5MB or 2GiB")
    return round(float(found.group(1)) * _UNITS[found.group(2)])


def moment(text: str, now: float) -> tuple[float, bool]:
    """Seconds since the epoch, and whether they were given as a time before `now` (`7d`, `12h`, `30m`, `2w`).

    A date is its first moment, in UTC; so is a time without a zone. Raises ValueError, also for what lies outside the
    years 1 to 9999 in UTC: it could not be shown.
    """
    if _DURATION.fullmatch(text.strip().lower()) is not None:
        return _showable(text, now - duration_in_seconds(text)), True
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(
            f"{text!r} is no time; write 2026-05-17, 2026-05-17T10:00:00Z, or how long ago: 30m, 12h, 7d, 2w"
        ) from None
    return _showable(text, (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()), False


def duration_in_seconds(text: str) -> float:
    """`30m`, `12h`, `90d`, `2w`. Raises ValueError."""
    found = _DURATION.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(f"{text!r} is no duration; write 30m, 12h, 90d or 2w")
    return float(found.group(1)) * _SECONDS[found.group(2)]


def _showable(text: str, seconds: float) -> float:
    try:
        datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text!r} is before the year 1 or after the year 9999") from None
    return seconds


def size_in_words(count: int) -> str:
    """`41.2 GB`: bytes as people say them, in powers of 1000."""
    value, unit = float(count), "bytes"
    for following in ("KB", "MB", "GB", "TB", "PB"):
        if value < 1000:
            break
        value, unit = value / 1000, following
    return f"{count:,} bytes" if unit == "bytes" else f"{value:.1f} {unit}"


def duration_in_words(seconds: float, *, tenths: bool = False) -> str:
    """`59 s`, `3 min 05 s`, `25 h 01 min`; with `tenths`, what is shorter than a minute is more exact: `4.2 s`."""
    if tenths and 0 <= seconds < 60:
        return f"{seconds:.1f} s"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02d} min"


def moment_in_words(seconds: float | None) -> str:
    """Seconds since the epoch as date and time in UTC; a dash for None."""
    return "–" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def counted(number: int, noun: str) -> str:
    """5312, "image" -> "5,312 images"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def rounded(value: float) -> float:
    """A score or an area as documents have it."""
    return round(value, _DIGITS)


def score_in_words(score: float) -> str:
    """`0.329`: cut from what documents have, so that who has the score itself and who has a document print the same."""
    return f"{rounded(score):.3f}"


def area_in_words(area: float) -> str:
    """`12.3%`: the share of an image, likewise."""
    return f"{rounded(area):.1%}"
