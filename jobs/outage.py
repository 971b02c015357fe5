"""What is away and waited for: how that is told, and how long it is waited for."""

from __future__ import annotations

import logging
import time

logger = logging.getLogger(__name__)

#: a night without database is some hundred lines, not some ten thousand
SAID_EVERY_S = 60.0
#: seconds a job waits for the storage of its images before they fail; enough for most outages
STORAGE_MAX_WAIT_S = 3600.0
_LONGEST_REST_S = 30.0
#: trouble after a longer time of quiet is another outage, with a wait of its own
_QUIET_S = 600.0


class Outage:
    """Tells when something is away, now and then while that lasts, and when it is over. Not thread-safe."""

    def __init__(self, what: str = "the database") -> None:
        self._what = what
        self._began: float | None = None
        self._said = 0.0

    def record_failure(self, why: str) -> None:
        """It did not answer, or not as it should."""
        now = time.monotonic()
        if self._began is None:
            self._began = now
            logger.warning("%s is away, waiting for it: %s", self._what, why)
        elif now - self._said < SAID_EVERY_S:
            return
        else:
            logger.warning("%s is still away, for %.0f s now: %s", self._what, now - self._began, why)
        self._said = now

    def over(self) -> None:
        """It answered."""
        if self._began is not None:
            logger.warning("%s is back after %.0f s", self._what, time.monotonic() - self._began)
        self._began = None


class BackOff:
    """Rests of 1, 2, 4 ... seconds between two tries, while something does not answer. Not thread-safe."""

    def __init__(self, longest_s: float = _LONGEST_REST_S) -> None:
        self._longest_s = longest_s
        self._rest_s = 0.0
        self._until = 0.0

    @property
    def resting(self) -> bool:
        """Whether it is too soon to try again."""
        return time.monotonic() < self._until

    def record_failure(self) -> float:
        """It was tried, in vain: gives for how many seconds it rests. What was under way meanwhile is the same try."""
        now = time.monotonic()
        if now >= self._until:
            self._rest_s = min(self._longest_s, 2 * self._rest_s or 1.0)
            self._until = now + self._rest_s
        return self._until - now


class StorageOutage:
    """The storage of a job's images is away: rests of 1, 2, 4 ... 30 s between two tries, and an end to waiting.

    The end is there for images that will never come, in a bucket far away, say, while others of the job do come:
    the wait counts from the first trouble on, and begins anew only after ten minutes without any.
    """

    def __init__(self, job_id: str, max_wait_s: float) -> None:
        self._max_wait_s = max_wait_s
        self._told = Outage(f"the storage of job {job_id}")
        self._began: float | None = None
        self._last = 0.0
        self._rest_s = 0.0
        self._until = 0.0
        self._answered = False

    @property
    def resting(self) -> bool:
        """Whether it is too soon to try again."""
        return time.monotonic() < self._until

    def record_failure(self, why: str) -> float | None:
        """It was tried, in vain: gives for how many seconds it should rest; None when it was waited for long enough."""
        now = time.monotonic()
        if self._began is None or (self._answered and now - self._last > _QUIET_S):
            self._began, self._answered = now, False
        self._last = now
        if now - self._began >= self._max_wait_s:
            return None
        if now >= self._until:  # what was under way when it broke down counts as one try
            self._rest_s = min(_LONGEST_REST_S, 2 * self._rest_s or 1.0)
            self._until = now + self._rest_s
        self._told.record_failure(why)
        return self._until - now

    def answered(self) -> None:
        """It gave something out."""
        self._answered = True
        self._rest_s = 0.0
        self._told.over()


def reason(error: BaseException) -> str:
    """What the driver says, its first line, without what SQLAlchemy adds for programmers."""
    words = str(getattr(error, "orig", error)).strip()
    return words.splitlines()[0] if words else type(error).__name__
