"""When a cron expression is due in the time of a place: also where an hour is missing, or comes twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from jobs.errors import JobsError

#: a schedule that is due more often than this many times in one look is looked at again
MOST_AT_ONCE = 500


class InvalidSchedule(JobsError):
    """A schedule that is never due, or that nobody understands."""

    def __init__(self, field: str, reason: str) -> None:
        #: of the request
        self.field = field
        self.reason = reason
        super().__init__(f"{field}: {reason}")


def check_cron(cron: str, zone: str) -> None:
    """Raises InvalidSchedule, also for what is not due within 50 years (the 31st of February)."""
    next_due(cron, zone, datetime.now(UTC).timestamp(), 1)


def next_due(cron: str, zone: str, after: float, count: int) -> list[float]:
    """The next due times behind a moment, in seconds since the epoch. Raises InvalidSchedule.

    An hour that is left out in spring: what is due in it is due at its end, once. One that comes twice in autumn: what
    is due at a given time is due once, what is due every so many minutes goes on through both (as Debian's cron).
    """
    found = list(islice(_due(cron, zone, after), count))
    if len(found) < count:
        raise InvalidSchedule("cron", f"{cron!r} is never due")
    return found


def due_between(cron: str, zone: str, after: float, until: float) -> list[float]:
    """Due times behind `after`, up to `until`, at most `MOST_AT_ONCE`, the first ones first. Raises InvalidSchedule."""
    return list(islice(takewhile(lambda due: due <= until, _due(cron, zone, after)), MOST_AT_ONCE))


def _due(cron: str, zone: str, after: float) -> Iterator[float]:
    if len(cron.split()) != 5:
        raise InvalidSchedule("cron", f"{cron!r} has not five fields: minute, hour, day, month, day of the week")
    try:
        place = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidSchedule("zone", f"{zone!r} is no time zone; write such as Europe/Berlin, or UTC") from None
    try:
        # it asks for times behind a whole second
        moments = CronSim(cron, datetime.fromtimestamp(after, UTC).astimezone(place) - timedelta(microseconds=1))
        return (due for moment in moments if (due := moment.timestamp()) > after)
    except CronSimError as error:
        raise InvalidSchedule("cron", f"{cron!r} is no cron expression: {error}") from None
