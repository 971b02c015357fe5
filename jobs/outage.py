"""A database that is away: told when that begins, now and then while it lasts, and when it is over."""

from __future__ import annotations

import logging
import time

logger = logging.getLogger(__name__)

#: a night without database is some hundred lines, not some ten thousand
SAID_EVERY_S = 60.0


class Outage:
    """Whether the database is away, for whoever asks it again and again. Not thread-safe."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._said = 0.0

    def struck(self, error: Exception) -> None:
        """The database did not answer, or not as it should."""
        now = time.monotonic()
        if self._began is None:
            self._began = now
            logger.warning("the database is away, waiting for it: %s", reason(error))
        elif now - self._said < SAID_EVERY_S:
            return
        else:
            logger.warning("the database is still away, for %.0f s now: %s", now - self._began, reason(error))
        self._said = now

    def over(self) -> None:
        """The database answered."""
        if self._began is not None:
            logger.warning("the database is back after %.0f s", time.monotonic() - self._began)
        self._began = None


def reason(error: BaseException) -> str:
    """What the driver says, its first line, without what SQLAlchemy adds for programmers."""
    words = str(getattr(error, "orig", error)).strip()
    return words.splitlines()[0] if words else type(error).__name__
