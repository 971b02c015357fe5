"""Something that every dispatcher looks for now and then; a `jobs.background.MaintenanceTask`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from jobs.domain import JobId


class PeriodicTask:
    """Does one thing again and again, no oftener than every so many seconds. No job waits for it."""

    at_once = 1
    busy = 0
    stuck = 0

    def __init__(
        self,
        name: str,
        every_s: float,
        work: Callable[[threading.Event], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`work`: gives whether there was anything, and ends soon when its event is set; two dispatchers at it do no
        harm. Where it raises, it is tried again as `jobs.background` does. `clock`: seconds that pass here.
        """
        self.name = name
        self._every_s = every_s
        self._work = work
        self._clock = clock
        self._next = 0.0

    def step(self, stop: threading.Event) -> bool:
        """Do it where it is time to; gives whether there was anything."""
        if self._clock() < self._next:
            return False
        found = self._work(stop)
        self._next = self._clock() + self._every_s
        return found

    def pending(self, job_id: JobId) -> bool:
        """It belongs to no job."""
        return False
