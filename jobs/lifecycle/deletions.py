"""Deleting a job: a few thousand rows in a transaction, so that nobody waits; its own row last.

A job that is being deleted says so in its state, and the rest is slow work: whoever is killed at it is followed by
another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select

from jobs.domain import Job, JobId, Work, WorkKind
from jobs.domain.states import TRANSITIONS, JobState
from jobs.errors import RequestRefused
from jobs.leased_work.enqueueing import enqueue, failure, is_under_way, withdraw
from jobs.lifecycle.job_table import JobTable, is_frozen
from jobs.sql.database import reading, writing
from jobs.sql.rows import job_from_row
from jobs.sql.tables import jobs, manifest_problems, shards, verdicts, webhook_deliveries
from jobs.sql.tallies import note_deleted
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
        """Let nobody use the job any more, and have it removed; one that is being deleted stays as it is.

        What went wrong with removing it before is tried again.

        Raises JobNotFound, and RequestRefused for a job that is not over, whose completion report is still to be
        written for the first time, or whose images another job is about to take.
        """
        with writing(self._engine) as connection:
            job = job_from_row(self._locked(connection, job_id))
            if job.state is not JobState.DELETING:
                check_unused(connection, job, "delete")
                for kind in (WorkKind.COMPLETION_REPORT, WorkKind.REFLAGGING):
                    withdraw(connection, kind, job.id)
                move_job(connection, job.id, job.state, JobState.DELETING, self._clock)
            if not is_under_way(connection, WorkKind.DELETION, job.id):
                enqueue(connection, WorkKind.DELETION, job.id, job_id=job.id)
        return self.get(job_id)

    def delete(self, work: Work) -> Iterator[Deleted]:
        """Remove the job of a piece of work that was claimed, transaction by transaction; nothing is left at the end.

        Raises WorkLost.
        """
        job_id = JobId(work.subject)
        yield from self._delete_verdicts(job_id, work)
        yield from self._delete_shards(job_id, work)
        with writing(self._engine) as connection:
            counts = job_from_row(self._locked(connection, job_id)).counts
            self.work.hold_in(connection, work)
            for table in (manifest_problems, webhook_deliveries):
                connection.execute(delete(table).where(table.c.job_id == job_id))
            # with whatever else belongs to it alone, this piece of work, too
            gone = delete(jobs).where(jobs.c.id == job_id, jobs.c.state == JobState.DELETING.value)
            if connection.execute(gone).rowcount:
                images = {"scored": counts.scored, "reused": counts.reused, "failed": counts.failed}
                note_deleted(connection, images)

    def left_to_delete(self, job_id: JobId) -> Deleted:
        """What is there still of a job that is being deleted, counted."""
        with reading(self._engine) as connection:
            counts = [
                connection.execute(select(func.count()).where(table.c.job_id == job_id)).scalar_one()
                for table in (verdicts, shards)
            ]
        return Deleted(verdicts=counts[0], shards=counts[1])

    def is_there(self, job_id: JobId) -> bool:
        """Whether anything is left of the job."""
        with reading(self._engine) as connection:
            return connection.execute(select(jobs.c.id).where(jobs.c.id == job_id)).first() is not None

    def deletion_failed(self, job_id: JobId) -> str | None:
        """Why nobody goes on with removing it; None while somebody does, or will."""
        with reading(self._engine) as connection:
            return failure(connection, WorkKind.DELETION, job_id)

    def _delete_verdicts(self, job_id: JobId, work: Work) -> Iterator[Deleted]:
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
                self.work.hold_in(connection, work)
                count = connection.execute(some).rowcount
            yield Deleted(verdicts=count)

    def _delete_shards(self, job_id: JobId, work: Work) -> Iterator[Deleted]:
        some = select(shards.c.id).where(shards.c.job_id == job_id).limit(_SHARDS)
        while True:
            with writing(self._engine) as connection:
                self.work.hold_in(connection, work)
                # their manifests go with them
                count = connection.execute(delete(shards).where(shards.c.id.in_(some.scalar_subquery()))).rowcount
            if not count:
                return
            yield Deleted(shards=count)


def check_unused(connection: Connection, job: Job, verb: str) -> None:
    """See that nobody needs its verdicts any more. Raises RequestRefused."""
    if JobState.DELETING not in TRANSITIONS[job.state]:
        raise RequestRefused(job.id, verb, job.state, "it is not over; cancel it first")
    if job.report_due and job.report_error is None:  # one that waits for its storage may wait for ever
        raise RequestRefused(job.id, verb, job.state, "its completion report is still to be written")
    unprepared = select(jobs.c.id).where(
        jobs.c.retry_of == job.id, jobs.c.state.in_([JobState.PREPARING.value, JobState.PAUSED.value])
    )
    for retry in connection.execute(unprepared).scalars().all():
        if is_frozen(connection, JobId(retry)):
            continue
        raise RequestRefused(job.id, verb, job.state, f"job {retry} is about to take its failed images")
