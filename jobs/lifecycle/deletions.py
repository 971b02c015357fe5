"""Deleting a job: a few thousand rows in a transaction, so that nobody waits; its own row last.

A job that is being deleted says so in its state. Whoever is killed at it leaves it in that state, and the same request
goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select

from jobs.domain import Job, JobId
from jobs.domain.states import TRANSITIONS, JobState
from jobs.errors import RequestRefused
from jobs.lifecycle.job_table import JobTable, is_frozen, locked
from jobs.sql.database import reading, writing
from jobs.sql.rows import job_from_row
from jobs.sql.tables import jobs, manifest_problems, shards, verdicts, webhook_deliveries
from jobs.sql.transitions import move_job

#: rows of one transaction
_VERDICTS = 5000
_SHARDS = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Deleted:
    """What one transaction removed."""

    verdicts: int = 0
    shards: int = 0


class Deletions(JobTable):
    """How jobs go out of being."""

    def begin_deletion(self, job_id: str) -> Job:
        """Let nobody use the job any more; one that is being deleted stays as it is.

        Raises JobNotFound, and RequestRefused for a job that is not over, whose completion report is still to be
        written, or whose images another job is about to take.
        """
        with writing(self._engine) as connection:
            job = job_from_row(locked(connection, job_id))
            if job.state is not JobState.DELETING:
                _check(connection, job)
                move_job(connection, job.id, job.state, JobState.DELETING, self._clock)
        return self.get(job_id)

    def delete(self, job_id: JobId) -> Iterator[Deleted]:
        """Remove a job for which deletion began, transaction by transaction; nothing is left at the end."""
        yield from self._delete_verdicts(job_id)
        yield from self._delete_shards(job_id)
        with writing(self._engine) as connection:
            for table in (manifest_problems, webhook_deliveries):
                connection.execute(delete(table).where(table.c.job_id == job_id))
            # with whatever else belongs to it alone
            connection.execute(delete(jobs).where(jobs.c.id == job_id, jobs.c.state == JobState.DELETING.value))

    def _delete_verdicts(self, job_id: JobId) -> Iterator[Deleted]:
        ends = select(func.min(verdicts.c.ordinal), func.max(verdicts.c.ordinal)).where(verdicts.c.job_id == job_id)
        with reading(self._engine) as connection:
            first, last = connection.execute(ends).one()
        if first is None:
            return
        for begin in range(first, last + 1, _VERDICTS):  # by place: looking for what is left would pass over the dead
            some = delete(verdicts).where(
                verdicts.c.job_id == job_id, verdicts.c.ordinal >= begin, verdicts.c.ordinal < begin + _VERDICTS
            )
            with writing(self._engine) as connection:
                count = connection.execute(some).rowcount
            yield Deleted(verdicts=count)

    def _delete_shards(self, job_id: JobId) -> Iterator[Deleted]:
        some = select(shards.c.id).where(shards.c.job_id == job_id).limit(_SHARDS)
        while True:
            with writing(self._engine) as connection:  # their manifests go with them
                count = connection.execute(delete(shards).where(shards.c.id.in_(some.scalar_subquery()))).rowcount
            if not count:
                return
            yield Deleted(shards=count)


def _check(connection: Connection, job: Job) -> None:
    """Raises RequestRefused."""
    if JobState.DELETING not in TRANSITIONS[job.state]:
        raise RequestRefused(job.id, "delete", job.state, "it is not over; cancel it first")
    if job.report_due:
        raise RequestRefused(job.id, "delete", job.state, "its completion report is still to be written")
    unprepared = select(jobs.c.id).where(
        jobs.c.retry_of == job.id, jobs.c.state.in_([JobState.PREPARING.value, JobState.PAUSED.value])
    )
    for retry in connection.execute(unprepared).scalars().all():
        if is_frozen(connection, JobId(retry)):
            continue
        raise RequestRefused(job.id, "delete", job.state, f"job {retry} is about to take its failed images")
