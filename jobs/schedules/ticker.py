"""Looks at the schedules now and then; a `jobs.background.MaintenanceTask`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from jobs.domain import JobId
from jobs.schedules.schedule_store import ScheduleStore

#: a tick is written down at most so late
_EVERY_S = 5.0


class Ticker:
    """Makes ticks. Every dispatcher has one; no two make the same."""

    name = "ticks"
    at_once = 1
    busy = 0
    stuck = 0

    def __init__(self, store: ScheduleStore, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds that pass here, for how often to look."""
        self._store = store
        self._clock = clock
        self._next = 0.0

    def step(self, stop: threading.Event) -> bool:
        """Look, where it is time to; gives whether anything was due. Raises one of DATABASE_AWAY."""
        if self._clock() < self._next:
            return False
        self._next = self._clock() + _EVERY_S
        return self._store.make_ticks() > 0

    def pending(self, job_id: JobId) -> bool:
        """Ticks belong to no job."""
        return False
