"""Work of a dispatcher that may take long or wait for others, in threads of its own beside the shards."""

from __future__ import annotations

import logging
import threading
import time
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

    #: for logs
    name: str
    #: threads it may have
    at_once: int

    @property
    def busy(self) -> int:
        """Threads with a piece in their hands."""

    @property
    def stuck(self) -> int:
        """Those of them that hang in a piece which was let go; others take their places."""

    def step(self, stop: threading.Event) -> bool:
        """Do one piece; gives whether there was any. `stop`: come to an end soon."""

    def pending(self, job_id: JobId) -> bool:
        """Whether something of this job was not tried yet."""


@contextmanager
def in_background(tasks: Sequence[MaintenanceTask], stop: threading.Event) -> Iterator[None]:
    """Work on each task in threads of its own, until `stop` is set. Threads that end or hang are replaced."""
    crews = [_Crew(task, stop) for task in tasks]
    supervisor = threading.Thread(target=_supervise, args=(crews, stop), name="supervisor", daemon=True)
    supervisor.start()
    try:
        yield
    finally:
        stop.set()
        supervisor.join()
        deadline = time.monotonic() + _MAX_WAIT_S
        for crew in crews:
            crew.join(deadline)


def finish_pending(tasks: Sequence[MaintenanceTask], job_id: JobId) -> None:
    """Do here and now what was not tried yet of a job for which no dispatcher runs."""
    stop = threading.Event()
    for task in tasks:
        while task.pending(job_id) and task.step(stop):
            pass


def _supervise(crews: Sequence[_Crew], stop: threading.Event) -> None:
    while not stop.is_set():
        for crew in crews:
            crew.fill()
        stop.wait(_PAUSE_S)


class _Crew:
    """The threads of one task."""

    def __init__(self, task: MaintenanceTask, stop: threading.Event) -> None:
        self._task = task
        self._stop = stop
        self._threads: list[threading.Thread] = []

    @property
    def _wanted(self) -> int:
        """Those that hang, those that work, and one that looks for more, up to the limit."""
        stuck = self._task.stuck
        return stuck + min(self._task.at_once, self._task.busy - stuck + 1)

    def fill(self) -> None:
        """As many threads as there should be."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        for _ in range(self._wanted - len(self._threads)):
            thread = threading.Thread(target=self._work, name=self._task.name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def join(self, deadline: float) -> None:
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while not self._stop.is_set() and len(self._threads) <= self._wanted:
            try:
                if not self._task.step(self._stop):
                    self._stop.wait(_PAUSE_S)
            except DATABASE_AWAY as error:
                # the dispatcher, which asks more often, tells people
                logger.info("%s: the database is away: %s", self._task.name, reason(error))
                self._stop.wait(_PAUSE_AFTER_ERROR_S)
            except Exception:
                # it would come again at once: slowly, then, and without taking the dispatcher along
                logger.exception("%s failed, trying again", self._task.name)
                self._stop.wait(_PAUSE_AFTER_ERROR_S)
        self._threads.remove(threading.current_thread())
