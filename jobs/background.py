"""Work of a dispatcher that may take long or wait for others, in threads of its own beside the shards."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from jobs.domain import JobId
from jobs.outage import reason
from jobs.sql.errors import DATABASE_AWAY

logger = logging.getLogger(__name__)

_PAUSE_S = 0.5
_PAUSE_AFTER_ERROR_S = 5.0
#: what still runs then is left alone: its lease runs out, and the next dispatcher does it
_MAX_WAIT_S = 15.0


class MaintenanceTask(Protocol):
    """Something to be done again and again, a bounded piece at a time."""

    def step(self, stop: threading.Event) -> bool:
        """Do one piece; gives whether there was any. `stop`: come to an end soon."""

    def pending(self, job_id: JobId) -> bool:
        """Whether something of this job was not tried yet."""


@contextmanager
def in_background(maintenance: Sequence[MaintenanceTask], stop: threading.Event) -> Iterator[None]:
    """Work on each task in a thread, until `stop` is set."""
    threads = [
        threading.Thread(target=_work, args=(task, stop), name=type(task).__name__, daemon=True) for task in maintenance
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(_MAX_WAIT_S)


def _work(task: MaintenanceTask, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            if not task.step(stop):
                stop.wait(_PAUSE_S)
        except DATABASE_AWAY as error:
            # the dispatcher, which asks more often, tells people
            logger.info("%s: the database is away: %s", type(task).__name__, reason(error))
            stop.wait(_PAUSE_AFTER_ERROR_S)
        except Exception:
            # it would come again at once: slowly, then, and without taking the dispatcher along
            logger.exception("%s failed, trying again", type(task).__name__)
            stop.wait(_PAUSE_AFTER_ERROR_S)
