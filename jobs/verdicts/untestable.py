"""What could not be tested in jobs that are over: counted once, and kept in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping

from jobs.domain import Job, JobId
from jobs.domain.states import FINAL, JobState

#: jobs whose counts are kept, those that were asked about last
_MOST = 1000
#: images of the largest job that is counted: about three seconds, where none could be tested for something
_LARGEST = 1_000_000


class UntestableCounts:
    """Counting reads all verdicts of a job, and documents of jobs are asked for often. Thread-safe."""

    def __init__(self, count: Callable[[JobId], Mapping[str, int]]) -> None:
        """`count`: as `VerdictStore.untestable_counts`."""
        self._count = count
        self._lock = threading.Lock()
        self._known: OrderedDict[JobId, dict[str, int]] = OrderedDict()

    def of(self, job: Job) -> dict[str, int] | None:
        """Images that could not be tested for a kind of evidence, by kind; only where there are any.

        None while more verdicts may come, once some are gone, and of jobs of more than a million images.
        """
        whole = job.state in FINAL and job.state is not JobState.DELETING and job.verdicts_removed_at is None
        if not whole or job.counts.done > _LARGEST:
            return None
        with self._lock:
            found = self._known.get(job.id)
        if found is None:
            found = dict(self._count(job.id))
        with self._lock:
            self._known[job.id] = found
            self._known.move_to_end(job.id)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return dict(found)
