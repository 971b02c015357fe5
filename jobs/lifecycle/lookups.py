"""Looking at the jobs of a database."""

from __future__ import annotations

from sqlalchemy import exists, or_, select

from jobs.domain import Job, JobId
from jobs.domain.states import CLAIMABLE, FINAL, JobState
from jobs.lifecycle.job_table import JobTable
from jobs.sql.database import json_texts, reading
from jobs.sql.rows import job_from_row
from jobs.sql.tables import LEASED, QUEUED, jobs, shards
from jobs.stored_text import storable


class JobLookups(JobTable):
    """What can be asked about jobs without changing any."""

    def latest(
        self, limit: int = 20, *, tag: str | None = None, state: JobState | None = None, name: str | None = None
    ) -> list[Job]:
        """Jobs, newest first; those with this tag, in this state, and with this text in their name, any case."""
        wanted = select(jobs).order_by(jobs.c.id.desc()).limit(limit)
        if tag is not None:
            each = json_texts(jobs.c.tags).table_valued("value")
            wanted = wanted.where(exists().select_from(each).where(each.c.value == storable(tag)))
        if state is not None:
            wanted = wanted.where(jobs.c.state == state.value)
        if name is not None:
            wanted = wanted.where(jobs.c.name.icontains(storable(name), autoescape=True))
        with reading(self._engine) as connection:
            rows = connection.execute(wanted).all()
        return [job_from_row(row) for row in rows]

    def completing(self) -> list[JobId]:
        """Jobs whose shards are all done and that wait to be closed, but not for their completion report."""
        with reading(self._engine) as connection:
            found = select(jobs.c.id).where(jobs.c.state == JobState.COMPLETING.value, jobs.c.report_due_at.is_(None))
            return [JobId(job_id) for job_id in connection.execute(found).scalars()]

    def attended(self, job_id: JobId) -> bool:
        """Whether somebody works on the job now: prepares it, or holds a shard of it."""
        now = self._clock()
        prepared = exists().where(jobs.c.id == job_id, jobs.c.preparation_expires_at >= now)
        held = exists().where(shards.c.job_id == job_id, shards.c.state == LEASED, shards.c.lease_expires_at >= now)
        with reading(self._engine) as connection:
            return bool(connection.execute(select(or_(prepared, held))).scalar_one())

    def waits_for(self, job_id: JobId) -> str | None:
        """Why it does not go on: what preparing it met, or the first shard that was tried in vain and waits.

        None where nothing is in its way, or it is over. Raises JobNotFound.
        """
        job = self.get(job_id)
        if job.state is JobState.PREPARING:
            return job.preparation_error
        if job.state in FINAL:
            return None
        tried = (
            select(shards.c.error)
            .where(shards.c.job_id == job_id, shards.c.state == QUEUED, shards.c.error.is_not(None))
            .order_by(shards.c.first_ordinal)
            .limit(1)
        )
        with reading(self._engine) as connection:
            return connection.execute(tried).scalar_one_or_none()

    def pinned_elsewhere(self, fingerprint: str) -> list[Job]:
        """Jobs that wait for shards to be scored, but are pinned to another model than `fingerprint`."""
        wanted = (
            select(jobs)
            .where(jobs.c.state.in_([state.value for state in CLAIMABLE]))
            .where(jobs.c.model_fingerprint != fingerprint)
        )
        with reading(self._engine) as connection:
            return [job_from_row(row) for row in connection.execute(wanted)]
