"""Doing slow work: one piece at a time is claimed, done, and told of."""

from __future__ import annotations

import logging
import threading
from contextlib import AbstractContextManager
from typing import Protocol

from jobs.domain import JobId, Work, WorkKind
from jobs.errors import WorkLost
from jobs.leased_work.held import HeldWork, Hold, WorkStopped
from jobs.log_context import about
from jobs.outage import reason
from jobs.progress import progress_to
from jobs.spans import span
from jobs.sql.errors import DATABASE_AWAY

logger = logging.getLogger(__name__)

#: after so many holders that were never heard of again, the work itself is what ends them
MAX_VANISHED = 10
#: attempts that end in a way nobody thought of
MAX_SURPRISES = 3
_SURPRISE_PAUSE_S = 5.0
#: a database that is away is asked again so soon
_DATABASE_PAUSE_S = 1.0


class Handler(Protocol):
    """What one kind of work is."""

    #: which
    kind: WorkKind

    def handle(self, work: Work, hold: Hold, stop: threading.Event) -> None:
        """Do it, and say with the operations of `WorkLeases` how it ended. Call `hold.check` now and then.

        Raises WorkStopped, WorkLost, or one of DATABASE_AWAY: the attempt does not count then.
        """

    def give_up(self, work: Work, why: str) -> None:
        """It ends whoever takes it: say so where people look."""


def span_of(work: Work) -> AbstractContextManager[object]:
    """Doing it once, in the trace that it belongs to."""
    job = {} if work.job_id is None else {"job": work.job_id}
    return span(work.kind.value, work.traceparent, subject=work.subject, attempt=work.attempt, **job)


class WorkTask:
    """Pieces of one kind, one after the other in each thread that calls `step`; a `jobs.background.MaintenanceTask`."""

    def __init__(self, handler: Handler, held: HeldWork, *, at_once: int = 1, only: JobId | None = None) -> None:
        """`only`: the one job whose work is done; None for that of all."""
        self._handler = handler
        self._held = held
        self._only = only
        #: threads that may call `step` at the same time
        self.at_once = at_once
        self.name = handler.kind.value

    @property
    def busy(self) -> int:
        """Threads with a piece in their hands."""
        return self._held.count(self._handler.kind)

    @property
    def stuck(self) -> int:
        """Those of them whose piece was let go, or taken by somebody else."""
        return self._held.count(self._handler.kind, lost=True)

    def pending(self, job_id: JobId) -> bool:
        """Whether work of this job was not tried yet, or is being done."""
        return self._held.leases.untried(self._handler.kind, job_id)

    def step(self, stop: threading.Event) -> bool:
        """Do one piece; gives whether there was one. Raises one of DATABASE_AWAY when it cannot be asked for."""
        leases = self._held.leases
        found = leases.claim(self._handler.kind, 1, self._held.lease_s, job_id=self._only, held=self._held.ids)
        for work in found:
            hold = self._held.hold(work)
            try:
                with about(work.job_id), progress_to(hold.progress), span_of(work):
                    self._do(work, hold, stop)
            finally:
                self._held.drop(hold)
        return bool(found)

    def _do(self, work: Work, hold: Hold, stop: threading.Event) -> None:
        try:
            if work.vanished >= MAX_VANISHED:
                self._handler.give_up(work, f"given up: {work.vanished} times its worker vanished")
            else:
                self._handler.handle(work, hold, stop)
        except WorkLost as error:
            logger.info("%s", error)
        except WorkStopped:
            self._give_back(work, stop, None)
        except DATABASE_AWAY as error:
            self._give_back(work, stop, reason(error))
        except Exception as error:
            logger.exception("%s of %s broke off", work.kind.value, work.subject)
            self._fail(work, f"{type(error).__name__}: {error}")

    def _fail(self, work: Work, why: str) -> None:
        """A surprise: a few times again, as it may have been one of the moment."""
        if work.attempt < MAX_SURPRISES:
            self._held.leases.fail(work, why, again_after_s=_SURPRISE_PAUSE_S * 2**work.attempt)
        else:
            self._handler.give_up(work, why)

    def _give_back(self, work: Work, stop: threading.Event, why: str | None) -> None:
        """Also when the database is away: it is held until then, so that nobody counts it as vanished."""
        while True:
            try:
                self._held.leases.release(work)
            except WorkLost:
                return
            except DATABASE_AWAY:
                if stop.wait(_DATABASE_PAUSE_S):
                    raise  # the lease runs out by itself
            else:
                if why is not None:
                    logger.info("%s of %s broke off, it starts over: %s", work.kind.value, work.subject, why)
                return
