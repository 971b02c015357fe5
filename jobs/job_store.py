"""Jobs in SQL: submit, look up, prepare, cancel, fail, complete. Every change of state goes through `states`.

Submitting and preparing have files of their own.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import exists, literal, or_, select

from jobs.database import reading, writing
from jobs.domain import Job, JobId
from jobs.job_table import ERROR_LIMIT, locked, move
from jobs.preparations import Preparations
from jobs.rows import job_from_row
from jobs.settle import settle_job
from jobs.states import CLAIMABLE, FINAL, JobState, ShardState
from jobs.stored_text import storable
from jobs.submissions import Submissions
from jobs.tables import jobs, shards

#: written out, so that both databases see that the partial indexes fit
_LEASED = literal(ShardState.LEASED.value, literal_execute=True)


class JobStore(Submissions, Preparations):
    """The jobs of one database."""

    def latest(self, limit: int = 20) -> list[Job]:
        """Jobs, newest first."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(jobs).order_by(jobs.c.id.desc()).limit(limit)).all()
        return [job_from_row(row) for row in rows]

    # -- endings

    def cancel(self, job_id: str) -> Job:
        """Ask a job to stop; a job nobody works on stops at once. A job already over stays as it is."""
        return self._end(job_id, JobState.CANCELLING)

    def fail(self, job_id: str, reason: str) -> Job:
        """Stop a job that cannot go on, and keep the reason."""
        return self._end(job_id, JobState.FAILING, error=storable(reason, limit=ERROR_LIMIT))

    def _end(self, job_id: str, state: JobState, **values: Any) -> Job:
        with writing(self._engine) as connection:
            job = job_from_row(locked(connection, job_id))
            if job.state not in FINAL and job.state not in (JobState.CANCELLING, JobState.FAILING):
                move(connection, job, state, **values)
                settle_job(connection, job.id, self._clock)
        return self.get(job_id)

    def complete(self, job_id: JobId) -> Job:
        """Close a completing job. A job whose rows do not add up fails instead of claiming to be complete."""
        with writing(self._engine) as connection:
            job = job_from_row(locked(connection, job_id))
            if job.state is JobState.COMPLETING:
                if job.counts.done != job.counts.total:
                    error = f"{job.counts.done} verdicts for {job.counts.total} images"
                    move(connection, job, JobState.FAILING, error=error)
                    settle_job(connection, job_id, self._clock)
                else:
                    move(connection, job, JobState.COMPLETED, finished_at=self._clock())
        return self.get(job_id)

    def completing(self) -> list[JobId]:
        """Jobs whose shards are all done and that wait to be closed."""
        with reading(self._engine) as connection:
            found = select(jobs.c.id).where(jobs.c.state == JobState.COMPLETING.value)
            return [JobId(job_id) for job_id in connection.execute(found).scalars()]

    def attended(self, job_id: JobId) -> bool:
        """Whether somebody works on the job now: prepares it, or holds a shard of it."""
        now = self._clock()
        prepared = exists().where(jobs.c.id == job_id, jobs.c.preparation_expires_at >= now)
        held = exists().where(shards.c.job_id == job_id, shards.c.state == _LEASED, shards.c.lease_expires_at >= now)
        with reading(self._engine) as connection:
            return bool(connection.execute(select(or_(prepared, held))).scalar_one())

    def pinned_elsewhere(self, fingerprint: str) -> list[Job]:
        """Jobs that wait for shards to be scored, but are pinned to another model than `fingerprint`."""
        wanted = (
            select(jobs)
            .where(jobs.c.state.in_([state.value for state in CLAIMABLE]))
            .where(jobs.c.model_fingerprint != fingerprint)
        )
        with reading(self._engine) as connection:
            return [job_from_row(row) for row in connection.execute(wanted)]
