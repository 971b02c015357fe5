"""One job as people and programs look at it: beside its row, what went wrong and what it waits for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobs.domain import Job, JobId
from jobs.domain.states import CLAIMABLE, FINAL, JobState
from nclscreen.documents import job_document
from nclscreen.wiring import Wiring

if TYPE_CHECKING:
    from jobs.webhooks.outbox import Deliveries

#: said where there is work and no dispatcher
NOBODY = "no dispatcher works on this database"
#: in these a dispatcher has something to do; in the others it is over, or waits for a person
_WORKED_ON = frozenset(JobState) - FINAL - {JobState.AWAITING_CONFIRMATION, JobState.PAUSED}


@dataclass(frozen=True, kw_only=True, slots=True)
class JobView:
    """A job, and what belongs to it."""

    job: Job
    #: images by error code
    error_codes: dict[str, int]
    #: images that could not be tested for a kind of evidence, by kind; None until the job is over
    untestable: dict[str, int] | None
    #: what is in its way; None where nothing is
    waits_for: str | None
    #: what makes it slower than usual; None where nothing does
    slowed: str | None
    #: how its messages fared; None where nobody wants any
    webhook: Deliveries | None

    @property
    def document(self) -> dict[str, Any]:
        """As JSON types."""
        webhook = None if self.webhook is None else dataclasses.asdict(self.webhook)
        return job_document(self.job) | {
            "error_codes": self.error_codes,
            "untestable": self.untestable,
            "waits_for": self.waits_for,
            "slowed": self.slowed,
            "webhook": webhook,
        }


def job_view(wiring: Wiring, job_id: str) -> JobView:
    """Raises JobNotFound."""
    job = wiring.jobs.get(job_id)
    return JobView(
        job=job,
        error_codes=wiring.verdicts.error_counts(job.id),
        untestable=wiring.untestable.of(job),
        waits_for=waits_for(wiring, job),
        slowed=slowed(wiring, job),
        webhook=wiring.webhooks.summary(job.id) if job.options.webhook else None,
    )


def waits_for(wiring: Wiring, job: Job) -> str | None:
    """Why a job that is not over does not go on: what is in its way, or that nobody works. None: nothing."""
    found = obstacle(wiring, job)
    if found is None and job.state in _WORKED_ON and not wiring.dispatchers.at_work():
        return NOBODY
    return found


def obstacle(wiring: Wiring, job: Job) -> str | None:
    """What is in the way of a job that is not over: its model, a storage, or what its shards met. None: nothing."""
    if job.state in CLAIMABLE:
        obstacles = wiring.hosted_models.obstacles([job.model.fingerprint])
        if job.model.fingerprint in obstacles:
            return obstacles[job.model.fingerprint]
    return wiring.jobs.waits_for(job.id)


def slowed(wiring: Wiring, job: Job) -> str | None:
    """What makes it slower than usual: a model is trained beside it. None: nothing, or nobody screens it now."""
    budget = wiring.dispatchers.budget() if job.state in CLAIMABLE else None
    return None if budget is None else str(budget)


def models_waited_for(wiring: Wiring, jobs: Sequence[Job]) -> dict[JobId, str]:
    """Why jobs wait for their models, of those that do; one question for all."""
    open_jobs = [job for job in jobs if job.state in CLAIMABLE]
    obstacles = wiring.hosted_models.obstacles({job.model.fingerprint for job in open_jobs}) if open_jobs else {}
    return {job.id: obstacles[job.model.fingerprint] for job in open_jobs if job.model.fingerprint in obstacles}


def jobs_waiting(wiring: Wiring, jobs: Sequence[Job], models: Mapping[JobId, str]) -> dict[JobId, str]:
    """Why jobs of a list wait: `models`, of those that wait for theirs; else that nobody works, or clusters lack."""
    found = dict(models)
    left = [job for job in jobs if job.state in _WORKED_ON and job.id not in found]
    if not left:
        return found
    at_work = wiring.dispatchers.at_work()
    if not at_work:
        return found | {job.id: NOBODY for job in left}
    if all(at_work.values()):
        lacks = wiring.dispatchers.lacking() or ""
        found |= {job.id: lacks for job in left if job.state in CLAIMABLE and not wiring.jobs.attended(job.id)}
    return found
