"""Removing jobs for which deletion was asked: slow work, so that it outlives whoever asked for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from jobs.domain import Work, WorkKind
from jobs.leased_work.held import Hold
from jobs.lifecycle.deletions import Deleted
from jobs.lifecycle.job_store import JobStore

logger = logging.getLogger(__name__)


class Deleter:
    """Removes jobs, a few thousand rows in a transaction; a `jobs.leased_work.task.Handler`."""

    kind = WorkKind.DELETION

    def __init__(self, store: JobStore, told: Callable[[Deleted], None] = lambda some: None) -> None:
        """`told` hears after every transaction what it removed."""
        self._store = store
        self._told = told

    def handle(self, work: Work, hold: Hold, stop: threading.Event) -> None:
        """Remove one job. Raises WorkStopped, WorkLost, or one of DATABASE_AWAY: the next one goes on from there."""
        for some in self._store.delete(work):
            self._told(some)
            hold.check(stop)

    def give_up(self, work: Work, why: str) -> None:
        """The job stays where it is, half removed, with the reason; asking for its deletion again tries again."""
        logger.error("job %s cannot be deleted: %s", work.subject, why)
        self._store.work.fail(work, why, again_after_s=None)
