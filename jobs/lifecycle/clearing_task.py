"""Clears out old jobs beside the work of a dispatcher; a `jobs.background.MaintenanceTask`."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from jobs.domain import JobId
from jobs.errors import JobNotFound, RequestRefused
from jobs.lifecycle.retention import Retention

logger = logging.getLogger(__name__)

#: between two looks for old jobs
_EVERY_S = 3600.0


class ClearingTask:
    """What `nclscreen db vacuum --keep-days` does, once an hour. Two dispatchers at it do no harm."""

    name = "retention"
    at_once = 1
    busy = 0
    stuck = 0

    def __init__(self, retention: Retention, keep_days: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds that pass here, for how often to look."""
        self._retention = retention
        self._keep_days = keep_days
        self._clock = clock
        self._next = 0.0

    def step(self, stop: threading.Event) -> bool:
        """Clear out what is old, where it is time to look; gives whether anything was. Raises one of DATABASE_AWAY."""
        if self._clock() < self._next:
            return False
        old = self._retention.old(self._keep_days)
        done = [job_id for job_id in old if not stop.is_set() and self._cleared(job_id, stop)]
        self._next = self._clock() + _EVERY_S
        return bool(done)

    def pending(self, job_id: JobId) -> bool:
        """It is nothing that a job waits for."""
        return False

    def _cleared(self, job_id: JobId, stop: threading.Event) -> bool:
        verdicts = 0
        try:
            for gone in self._retention.clear_out(job_id):
                verdicts += gone.verdicts
                if stop.is_set():
                    return True  # the next look goes on
        except (RequestRefused, JobNotFound) as error:
            logger.info("job %s stays as it is: %s", job_id, error)
            return False
        logger.info("job %s ended more than %g days ago: %d verdicts cleared out", job_id, self._keep_days, verdicts)
        return True
