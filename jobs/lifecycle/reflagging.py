"""Another threshold for a job that is over: the rows that cross it are rewritten, some thousand in a transaction.

Until all are, the job keeps its threshold and says to which one it is being moved. Whoever is killed at it is followed
by another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, func, select, update

from jobs.domain import Job, JobId, Work, WorkKind
from jobs.domain.states import FINAL, JobState
from jobs.errors import RequestRefused, VerdictsRemoved
from jobs.leased_work.enqueueing import enqueue, failure
from jobs.lifecycle.job_table import JobTable
from jobs.sql.database import reading, writing
from jobs.sql.rows import job_from_row
from jobs.sql.tables import jobs, verdicts

#: verdicts of one transaction
_VERDICTS = 5000


class Reflagging(JobTable):
    """How a job comes by another threshold."""

    def begin_reflagging(self, job_id: str, threshold: float, policy: dict[str, Any] | None = None) -> Job:
        """Have the job flag from this score on, in [0, 1]; `policy` is how it was asked for.

        A move that is under way goes on to the new threshold. Raises JobNotFound, and RequestRefused for a job that is
        not over or is being deleted.
        """
        with writing(self._engine) as connection:
            job = job_from_row(self._locked(connection, job_id))
            if job.state not in FINAL - {JobState.DELETING}:
                raise RequestRefused(job.id, "flag anew", job.state, "its verdicts are still coming, or going")
            if job.verdicts_removed_at is not None:
                raise VerdictsRemoved(job.id, "flag anew", job.state)
            connection.execute(
                update(jobs).where(jobs.c.id == job.id).values(reflag_to=threshold, reflag_policy=policy)
            )
            enqueue(connection, WorkKind.REFLAGGING, job.id, job_id=job.id)
        return self.get(job_id)

    def reflag(self, work: Work) -> Iterator[int]:
        """Rewrite the rows that cross, transaction by transaction, giving how many each rewrote. Raises WorkLost."""
        job_id = JobId(work.subject)
        while True:
            with reading(self._engine) as connection:
                to = connection.execute(select(jobs.c.reflag_to).where(jobs.c.id == job_id)).scalar_one_or_none()
            if to is None:  # deleted meanwhile, or done by somebody else
                with writing(self._engine) as connection:
                    self.work.finish_in(connection, work)
                return
            yield from self._rewrite(job_id, work, to)
            if self._moved(job_id, work, to):
                return

    def reflagging_failed(self, job_id: JobId) -> str | None:
        """Why nobody goes on with it; None while somebody does, or will."""
        with reading(self._engine) as connection:
            return failure(connection, WorkKind.REFLAGGING, job_id)

    def _rewrite(self, job_id: JobId, work: Work, to: float) -> Iterator[int]:
        ends = select(func.min(verdicts.c.ordinal), func.max(verdicts.c.ordinal)).where(verdicts.c.job_id == job_id)
        with reading(self._engine) as connection:
            first, last = connection.execute(ends).one()
        for begin in range(first or 0, (-1 if last is None else last) + 1, _VERDICTS):
            with writing(self._engine) as connection:
                self._locked(connection, job_id)  # the job's counter and its verdicts change together
                self.work.hold_in(connection, work)
                changed = _cross(connection, job_id, begin, to)
            yield changed

    def _moved(self, job_id: JobId, work: Work, to: float) -> bool:
        """Whether the threshold is the job's now; not where another one was asked for meanwhile."""
        with writing(self._engine) as connection:
            row = self._locked(connection, job_id)
            self.work.hold_in(connection, work)
            if row.reflag_to != to:
                return False
            values = {"threshold": to, "policy": row.reflag_policy, "reflag_to": None, "reflag_policy": None}
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))
            self.work.finish_in(connection, work)
        return True


def _cross(connection: Connection, job_id: JobId, begin: int, to: float) -> int:
    """Rewrite the rows of one range that are on the other side now, and the job's counter with them."""
    crossing = (
        update(verdicts)
        .where(
            verdicts.c.job_id == job_id,
            verdicts.c.ordinal >= begin,
            verdicts.c.ordinal < begin + _VERDICTS,
            verdicts.c.score.is_not(None),
            verdicts.c.flagged != (verdicts.c.score >= to),
        )
        .values(flagged=verdicts.c.score >= to)
        .returning(verdicts.c.flagged)
    )
    now = [bool(flagged) for flagged in connection.execute(crossing).scalars()]
    if now:
        more = 2 * sum(now) - len(now)
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(flagged=jobs.c.flagged + more))
    return len(now)
