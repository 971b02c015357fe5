"""What this process has in its hands, and how its threads show that they go on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from jobs.domain import Work, WorkId, WorkKind
from jobs.errors import WorkLost
from jobs.leased_work.leases import WorkLeases

logger = logging.getLogger(__name__)

#: seconds a lease lives when nobody prolongs it
LEASE_S = 60.0
#: seconds without any progress after which work is let go; longer than a storage is waited for that says nothing
MAX_SILENCE_S = 300.0


class WorkStopped(Exception):
    """The process is about to end: give the work back."""


class Hold:
    """One piece of work in one thread's hands."""

    def __init__(self, work: Work, now: Callable[[], float] = time.monotonic) -> None:
        self.work = work
        #: somebody else has it, or may take it: nothing of it can be written any more
        self.lost = False
        self._now = now
        self._last = now()

    def progress(self) -> None:
        """Something was done; for `jobs.progress.progress_to`."""
        self._last = self._now()

    @property
    def silent_s(self) -> float:
        """Seconds since the last progress."""
        return self._now() - self._last

    def check(self, stop: threading.Event) -> None:
        """Note progress. Raises WorkStopped when the process is to end, WorkLost when going on is of no use."""
        if stop.is_set():
            raise WorkStopped
        if self.lost:
            raise WorkLost(self.work.kind, self.work.subject)
        self.progress()


class HeldWork:
    """All pieces of slow work in the hands of this process. Thread-safe; `jobs.leased_work.keeper` prolongs them."""

    def __init__(
        self,
        leases: WorkLeases,
        *,
        lease_s: float = LEASE_S,
        max_silence_s: float = MAX_SILENCE_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.leases = leases
        self.lease_s = lease_s
        self._max_silence_s = max_silence_s
        self._now = now
        self._lock = threading.Lock()
        self._holds: dict[WorkId, Hold] = {}

    def hold(self, work: Work) -> Hold:
        """Keep a piece of work that was just claimed, until `drop`."""
        hold = Hold(work, self._now)
        with self._lock:
            self._holds[work.id] = hold
        return hold

    def drop(self, hold: Hold) -> None:
        """Its thread is through with it, in whatever way."""
        with self._lock:
            self._holds.pop(hold.work.id, None)

    @property
    def ids(self) -> list[WorkId]:
        """What some thread here still sits on, lost or not: others may take it, this process may not."""
        with self._lock:
            return list(self._holds)

    def count(self, kind: WorkKind, *, lost: bool = False) -> int:
        """Threads that sit on work of this kind; with `lost`, those whose work is not theirs any more."""
        with self._lock:
            return sum(each.work.kind is kind and (each.lost or not lost) for each in self._holds.values())

    def extend(self) -> None:
        """Prolong whatever made progress, in one statement; let go what did not for too long.

        Raises one of DATABASE_AWAY.
        """
        with self._lock:
            holds = [hold for hold in self._holds.values() if not hold.lost]
        silent = [hold for hold in holds if hold.silent_s > self._max_silence_s]
        for hold in silent:
            self._let_go(hold)
        alive = {hold.work.id: hold for hold in holds if hold not in silent}
        for work in self.leases.extend([hold.work for hold in alive.values()], self.lease_s):
            alive[work.id].lost = True

    def _let_go(self, hold: Hold) -> None:
        work = hold.work
        reason = f"no progress for {hold.silent_s:.0f} s"
        with suppress(WorkLost):
            self.leases.let_go(work, reason)
        hold.lost = True
        logger.warning("%s of %s: %s; it is let go", work.kind.value.replace("_", " "), work.subject, reason)
