"""Moments as texts that programs read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import overload


@overload
def instant(seconds: float, timespec: str = ...) -> str: ...
@overload
def instant(seconds: None, timespec: str = ...) -> None: ...
@overload
def instant(seconds: float | None, timespec: str = ...) -> str | None: ...
def instant(seconds: float | None, timespec: str = "milliseconds") -> str | None:
    """Seconds since the epoch as ISO 8601 in UTC; `timespec` as `datetime.isoformat` takes it."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec=timespec)
