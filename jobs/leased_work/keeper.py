"""The one thread of a process that prolongs its leases, whoever is busy with what."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from jobs.outage import reason
from jobs.sql.errors import DATABASE_AWAY

logger = logging.getLogger(__name__)

#: a database that is away is asked again so soon: leases go on living meanwhile
_AGAIN_S = 1.0


class Kept(Protocol):
    """Leases of one kind of table."""

    def extend(self) -> None:
        """Prolong those whose work goes on, in one statement. Raises one of DATABASE_AWAY."""


class LeaseKeeper:
    """Prolongs leases every third of their life."""

    def __init__(self, kept: Sequence[Kept], *, lease_s: float) -> None:
        self._kept = kept
        self._every_s = lease_s / 3
        self._stop = threading.Event()

    def run(self) -> None:
        """Go on until `stop`. Nothing that goes wrong ends it."""
        pause_s = self._every_s
        while not self._stop.wait(pause_s):
            pause_s = self._every_s if self.beat() else min(_AGAIN_S, self._every_s)

    def beat(self) -> bool:
        """One round; gives whether the database took it."""
        taken = True
        for each in self._kept:
            try:
                each.extend()
            except DATABASE_AWAY as error:
                logger.info("leases cannot be prolonged now: %s", reason(error))  # the dispatcher tells people
                taken = False
            except Exception:
                logger.exception("leases cannot be prolonged")
                taken = False
        return taken

    def stop(self) -> None:
        self._stop.set()


@contextmanager
def keeping(kept: Sequence[Kept], *, lease_s: float) -> Iterator[LeaseKeeper]:
    """Prolong these leases while the block runs."""
    keeper = LeaseKeeper(kept, lease_s=lease_s)
    thread = threading.Thread(target=keeper.run, name="leases", daemon=True)
    thread.start()
    try:
        yield keeper
    finally:
        keeper.stop()
        thread.join()
