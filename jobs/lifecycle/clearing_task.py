"""Clears out old jobs beside the work of a dispatcher."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from jobs.domain import JobId
from jobs.errors import JobNotFound, RequestRefused
from jobs.lifecycle.retention import Retention
from jobs.periodic_task import PeriodicTask

logger = logging.getLogger(__name__)

#: between two looks for old jobs
_EVERY_S = 3600.0


def clearing_task(retention: Retention, keep_days: float, clock: Callable[[], float] = time.monotonic) -> PeriodicTask:
    """What `nclscreen db vacuum --keep-days` does, once an hour."""

    def clear_out(stop: threading.Event) -> bool:
        old = retention.old(keep_days)
        return sum(_cleared(retention, job_id, keep_days, stop) for job_id in old if not stop.is_set()) > 0

    return PeriodicTask("retention", _EVERY_S, clear_out, clock)


def _cleared(retention: Retention, job_id: JobId, keep_days: float, stop: threading.Event) -> bool:
    """Whether anything of the job went."""
    verdicts = 0
    try:
        for gone in retention.clear_out(job_id):
            verdicts += gone.verdicts
            if stop.is_set():
                return True  # the next look goes on
    except (RequestRefused, JobNotFound) as error:
        logger.info("job %s stays as it is: %s", job_id, error)
        return False
    logger.info("job %s ended more than %g days ago: %d verdicts cleared out", job_id, keep_days, verdicts)
    return True
