"""Deleting a job that is over, with its verdicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jobs.domain import Job, JobId
from nclscreen.wiring import Wiring


@dataclass(frozen=True, kw_only=True, slots=True)
class Deletion:
    """What was removed, and what was not."""

    job_id: JobId
    verdicts: int
    shards: int
    #: where its heatmaps lie. They stay: later jobs that took over a verdict point to them
    heatmaps: str


def delete_job(wiring: Wiring, job_id: str, progress: Callable[[Job, int], None] = lambda job, done: None) -> Deletion:
    """Remove the job; `progress` hears after every transaction how many verdicts are gone.

    Whatever ends it half-way, asking again goes on. Raises JobNotFound, RequestRefused.
    """
    job = wiring.jobs.begin_deletion(job_id)
    verdicts = shards = 0
    for some in wiring.jobs.delete(job.id):
        verdicts += some.verdicts
        shards += some.shards
        progress(job, verdicts)
    heatmaps = f"{wiring.settings.effective_heatmaps_uri.rstrip('/')}/{job.id}/"
    return Deletion(job_id=job.id, verdicts=verdicts, shards=shards, heatmaps=heatmaps)
