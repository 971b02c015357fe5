"""Deleting a job that is over, with its verdicts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from jobs.background import in_background
from jobs.domain import Job, JobId
from jobs.errors import JobsError
from jobs.leased_work.keeper import keeping
from jobs.lifecycle.deletions import Deleted
from nclscreen.interrupts import heed_termination
from nclscreen.wiring import Wiring

#: between two looks at what is left
_LOOK_S = 0.1
#: where another process removes it, what is left is counted now and then
_COUNT_EVERY_S = 2.0


class DeletionFailed(JobsError):
    """Removing the job went wrong several times; what is left of it stays for another try."""

    def __init__(self, job_id: str, why: str) -> None:
        self.job_id = job_id
        self.why = why
        super().__init__(f"job {job_id} could not be removed as a whole: {why}")


class _Tally:
    """How many verdicts are gone: as this process removes them, or as they are counted."""

    def __init__(self) -> None:
        self.verdicts = 0
        self._known_at = time.monotonic()

    def add(self, some: Deleted) -> None:
        self.set(self.verdicts + some.verdicts)

    def set(self, verdicts: int) -> None:
        self.verdicts, self._known_at = verdicts, time.monotonic()

    @property
    def is_old(self) -> bool:
        return time.monotonic() > self._known_at + _COUNT_EVERY_S


@dataclass(frozen=True, kw_only=True, slots=True)
class Deletion:
    """What was removed, and what was not."""

    job_id: JobId
    verdicts: int
    shards: int
    #: where its heatmaps lie. They stay: later jobs that took over a verdict point to them
    heatmaps: str


def delete_job(wiring: Wiring, job_id: str, progress: Callable[[Job, int], None] = lambda job, done: None) -> Deletion:
    """Have the job removed, and see to it that somebody does so: a dispatcher, or this process.

    `progress` hears how many verdicts are gone. Whatever ends this half-way, a dispatcher goes on, or asking again.
    Raises JobNotFound, RequestRefused, DeletionFailed.
    """
    job = wiring.jobs.begin_deletion(job_id)
    there = wiring.jobs.left_to_delete(job.id)
    tally, stop = _Tally(), threading.Event()
    with (
        keeping([wiring.held_work], lease_s=wiring.settings.lease_s),
        in_background([wiring.deleting(job.id, tally.add)], stop),
    ):
        while wiring.jobs.is_there(job.id):
            if (why := wiring.jobs.deletion_failed(job.id)) is not None:
                raise DeletionFailed(job.id, why)
            if tally.is_old:
                tally.set(there.verdicts - wiring.jobs.left_to_delete(job.id).verdicts)
            progress(job, tally.verdicts)
            stop.wait(_LOOK_S)
            heed_termination()
    heatmaps = f"{wiring.settings.effective_heatmaps_uri.rstrip('/')}/{job.id}/"
    return Deletion(job_id=job.id, verdicts=there.verdicts, shards=there.shards, heatmaps=heatmaps)
