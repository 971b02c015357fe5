"""Looks at the schedules now and then."""

from __future__ import annotations

import time
from collections.abc import Callable

from jobs.periodic_task import PeriodicTask
from jobs.schedules.schedule_store import ScheduleStore

#: a tick is written down at most so late
_EVERY_S = 5.0


def ticker(store: ScheduleStore, clock: Callable[[], float] = time.monotonic) -> PeriodicTask:
    """Makes ticks. Every dispatcher has one; no two make the same."""
    return PeriodicTask("ticks", _EVERY_S, lambda _stop: store.make_ticks() > 0, clock)
