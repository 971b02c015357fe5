"""What may be asked of a job after it was submitted: pause, resume, prioritize, cancel; and how it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, update

from jobs.domain import Job, JobId, WorkKind
from jobs.domain.states import CLAIMABLE, FINAL, JobState
from jobs.errors import RequestRefused
from jobs.leased_work.enqueueing import enqueue
from jobs.leased_work.enqueueing import prioritize as prioritize_work
from jobs.lifecycle.job_table import ERROR_LIMIT, JobTable, is_frozen
from jobs.sql.database import writing
from jobs.sql.rows import job_from_row
from jobs.sql.tables import jobs
from jobs.sql.transitions import move_job, settle_job
from jobs.stored_text import storable

_S = JobState
_STOPPING = frozenset({_S.CANCELLING, _S.FAILING})

_NOT_PAUSED = {
    _S.AWAITING_CONFIRMATION: "nothing of it runs before it is confirmed",
    _S.COMPLETING: "every shard of it is done already",
}


class JobVerbs(JobTable):
    """The requests that change a job, each in one transaction."""

    def pause(self, job_id: str) -> Job:
        """Give out no more shards of the job; those under way are finished, then it is paused.

        Where its corpus is still being frozen, that stops, and what was found so far is kept. A job that is pausing or
        paused stays as it is. Raises JobNotFound, RequestRefused.
        """
        with self._changing(job_id) as (connection, job):
            if job.state in CLAIMABLE:
                move_job(connection, job.id, job.state, _S.PAUSING, self._clock)
                settle_job(connection, job.id, self._clock)
            elif job.state is _S.PREPARING:
                move_job(connection, job.id, job.state, _S.PAUSED, self._clock)
            elif job.state not in (_S.PAUSING, _S.PAUSED):
                raise RequestRefused(job.id, "pause", job.state, _NOT_PAUSED.get(job.state, "it is over"))
        return self.get(job_id)

    def resume(self, job_id: str) -> Job:
        """Go on with a job that is pausing or paused; one that is being prepared, ready or running stays as it is.

        Raises JobNotFound, RequestRefused.
        """
        with self._changing(job_id) as (connection, job):
            if job.state is _S.PAUSED and not is_frozen(connection, job.id):
                move_job(connection, job.id, job.state, _S.PREPARING, self._clock)
                enqueue(connection, WorkKind.PREPARATION, job.id, job_id=job.id, priority=job.options.priority)
            elif job.state in (_S.PAUSING, _S.PAUSED):
                move_job(connection, job.id, job.state, _S.RUNNING, self._clock)
            elif job.state not in CLAIMABLE | {_S.PREPARING}:
                advice = "it is over" if job.state in FINAL | _STOPPING else "it was not paused"
                raise RequestRefused(job.id, "resume", job.state, advice)
        return self.get(job_id)

    def prioritize(self, job_id: str, priority: int) -> Job:
        """Change the priority; it counts from the next claim on. Raises JobNotFound, RequestRefused."""
        with self._changing(job_id) as (connection, job):
            if job.state in FINAL | _STOPPING:
                raise RequestRefused(job.id, "prioritize", job.state, "it is over")
            connection.execute(update(jobs).where(jobs.c.id == job.id).values(priority=priority))
            prioritize_work(connection, job.id, priority)
        return self.get(job_id)

    def cancel(self, job_id: str) -> Job:
        """Ask a job to stop; a job nobody works on stops at once. A job already over stays as it is."""
        return self._end(job_id, _S.CANCELLING)

    def fail(self, job_id: str, reason: str) -> Job:
        """Stop a job that cannot go on, and keep the reason."""
        return self._end(job_id, _S.FAILING, error=storable(reason, limit=ERROR_LIMIT))

    def complete(self, job_id: JobId) -> Job:
        """Close a completing job. A job whose rows do not add up fails instead of claiming to be complete."""
        with self._changing(job_id) as (connection, job):
            if job.state is not _S.COMPLETING:
                pass
            elif job.counts.done != job.counts.total:
                error = f"{job.counts.done} verdicts for {job.counts.total} images"
                move_job(connection, job.id, job.state, _S.FAILING, self._clock, error=error)
                settle_job(connection, job_id, self._clock)
            else:
                move_job(connection, job.id, job.state, _S.COMPLETED, self._clock)
        return self.get(job_id)

    def _end(self, job_id: str, state: JobState, **values: Any) -> Job:
        with self._changing(job_id) as (connection, job):
            if job.state not in FINAL | _STOPPING:
                move_job(connection, job.id, job.state, state, self._clock, **values)
                settle_job(connection, job.id, self._clock)
        return self.get(job_id)

    @contextmanager
    def _changing(self, job_id: str) -> Iterator[tuple[Connection, Job]]:
        """One transaction with the job's row locked. Raises JobNotFound."""
        with writing(self._engine) as connection:
            yield connection, job_from_row(self._locked(connection, job_id))
