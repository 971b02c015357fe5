"""Giving jobs another threshold: slow work, so that it outlives whoever asked for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from jobs.domain import Work, WorkKind
from jobs.leased_work.held import Hold
from jobs.lifecycle.job_store import JobStore

logger = logging.getLogger(__name__)


class Reflagger:
    """Rewrites the rows that cross a threshold; a `jobs.leased_work.task.Handler`."""

    kind = WorkKind.REFLAGGING

    def __init__(self, store: JobStore, told: Callable[[int], None] = lambda rows: None) -> None:
        """`told` hears after every transaction how many rows it rewrote."""
        self._store = store
        self._told = told

    def handle(self, work: Work, hold: Hold, stop: threading.Event) -> None:
        """Move one job. Raises WorkStopped, WorkLost, or one of DATABASE_AWAY: the next one goes on from there."""
        for rows in self._store.reflag(work):
            self._told(rows)
            hold.check(stop)

    def give_up(self, work: Work, why: str) -> None:
        """The job keeps its threshold, and says to which one it was not moved; asking again tries again."""
        logger.error("job %s cannot be flagged anew: %s", work.subject, why)
        self._store.work.fail(work, why, again_after_s=None)
