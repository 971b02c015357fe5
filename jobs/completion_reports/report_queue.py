"""Completion reports that are to be written, in SQL: taken under a lease, so that two dispatchers do not both write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Update, func, literal, or_, select, update

from jobs.domain import Job, JobId
from jobs.lifecycle.job_table import ERROR_LIMIT, JobTable
from jobs.sql.database import reading, writing
from jobs.sql.rows import job_from_row
from jobs.sql.tables import jobs
from jobs.stored_text import storable

#: tries while the storage is away; with the longest pause between them about a day
MAX_REPORT_ATTEMPTS = 300
FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportClaim:
    """A report in the hands of the one who writes it."""

    job: Job
    fence: int
    #: when the job came to its end, in seconds since the epoch
    due_at: float


class ReportQueue(JobTable):
    """The reports of one database that wait to be written."""

    def claim(self, lease_s: float, only: JobId | None = None) -> ReportClaim | None:
        """Take one report that is due, or whose writer vanished."""
        now = self._clock()
        waiting = (
            select(jobs.c.id)
            .where(jobs.c.report_due_at.is_not(None), jobs.c.report_not_before <= now)
            .where(or_(jobs.c.report_expires_at.is_(None), jobs.c.report_expires_at < now))
            .order_by(jobs.c.report_not_before)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if only is not None:
            waiting = waiting.where(jobs.c.id == only)
        with writing(self._engine) as connection:
            found = connection.execute(waiting).scalar_one_or_none()
            if found is None:
                return None
            row = connection.execute(
                update(jobs)
                .where(jobs.c.id == found)
                .values(report_fence=jobs.c.report_fence + 1, report_expires_at=self._clock() + literal(lease_s))
                .returning(*jobs.c)
            ).one()
        return ReportClaim(job=job_from_row(row), fence=row.report_fence, due_at=row.report_due_at)

    def extend(self, claim: ReportClaim, lease_s: float) -> bool:
        """Say that the writer lives; False when somebody else writes the report now."""
        return self._change(claim, report_expires_at=self._clock() + literal(lease_s))

    def release(self, claim: ReportClaim) -> None:
        """Give it back unwritten, for the next one to take at once."""
        self._change(claim, report_expires_at=None)

    def written(self, claim: ReportClaim, uri: str) -> bool:
        """The report is there; False when somebody else writes it now."""
        return self._change(claim, report_uri=uri, report_error=None, **_OVER)

    def give_up(self, claim: ReportClaim, reason: str) -> None:
        """It cannot be written at all; the job goes on without it."""
        self._change(claim, report_error=storable(reason, limit=ERROR_LIMIT), **_OVER)

    def delay(self, claim: ReportClaim, reason: str) -> None:
        """It cannot be written now: later, with growing pauses, and not for ever."""
        with reading(self._engine) as connection:
            tried = connection.execute(select(jobs.c.report_attempt).where(jobs.c.id == claim.job.id)).scalar_one()
        if tried + 1 >= MAX_REPORT_ATTEMPTS:
            self.give_up(claim, f"given up after {tried + 1} tries: {reason}")
            return
        self._change(
            claim,
            report_attempt=tried + 1,
            report_not_before=self._clock() + literal(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(tried, 16))),
            report_expires_at=None,
            report_error=storable(reason, limit=ERROR_LIMIT),
        )

    def untried(self, job_id: JobId) -> bool:
        """Whether the job's report is due and nothing is known against it yet."""
        due = select(func.count()).where(
            jobs.c.id == job_id, jobs.c.report_due_at.is_not(None), jobs.c.report_error.is_(None)
        )
        with reading(self._engine) as connection:
            return bool(connection.execute(due).scalar_one())

    def _change(self, claim: ReportClaim, **values: Any) -> bool:
        held: Update = (
            update(jobs)
            .where(jobs.c.id == claim.job.id, jobs.c.report_fence == claim.fence)
            .where(jobs.c.report_due_at.is_not(None))
            .values(**values)
        )
        with writing(self._engine) as connection:
            return bool(connection.execute(held).rowcount)


_OVER: dict[str, Any] = {"report_due_at": None, "report_expires_at": None}
