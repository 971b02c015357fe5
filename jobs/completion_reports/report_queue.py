"""Completion reports that are to be written: slow work, and what the job shows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select, update

from jobs.domain import Job, JobId, Work, WorkKind
from jobs.errors import WorkLost
from jobs.lifecycle.job_table import ERROR_LIMIT, JobTable, locked
from jobs.sql.database import reading, writing
from jobs.sql.rows import job_from_row
from jobs.sql.tables import jobs
from jobs.stored_text import storable

#: between two tries while the storage is away: growing, and without an end
FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportClaim:
    """A report in the hands of the one who writes it."""

    job: Job
    work: Work
    #: when the job came to its end, in seconds since the epoch
    due_at: float


class ReportQueue(JobTable):
    """The reports of one database that wait to be written. All but the claim raise WorkLost."""

    def claim(self, lease_s: float, only: JobId | None = None) -> ReportClaim | None:
        """Take one report that is due, or whose writer vanished."""
        for work in self.work.claim(WorkKind.COMPLETION_REPORT, 1, lease_s, job_id=only):
            return self.begin(work)
        return None

    def begin(self, work: Work) -> ReportClaim:
        """The report of a piece of work that was claimed."""
        with writing(self._engine) as connection:
            row = locked(connection, work.subject)
            self.work.hold_in(connection, work)
        return ReportClaim(job=job_from_row(row), work=work, due_at=row.report_due_at)

    def check(self, claim: ReportClaim) -> None:
        """See that it is to be written still, and by this writer."""
        with writing(self._engine) as connection:
            self.work.hold_in(connection, claim.work)

    def release(self, claim: ReportClaim) -> None:
        """Give it back unwritten, for the next one to take at once."""
        self.work.release(claim.work)

    def written(self, claim: ReportClaim, uri: str) -> None:
        """The report is there."""
        with writing(self._engine) as connection:
            _note(connection, claim.work, report_uri=uri, report_error=None, report_due_at=None)
            self.work.finish_in(connection, claim.work)

    def give_up(self, work: Work, why: str) -> None:
        """It cannot be written at all; the job goes on without it."""
        with writing(self._engine) as connection:
            _note(connection, work, report_error=storable(why, limit=ERROR_LIMIT), report_due_at=None)
            self.work.fail_in(connection, work, why, again_after_s=None)

    def delay(self, claim: ReportClaim, why: str) -> None:
        """It cannot be written now: later, with growing pauses, however long that takes.

        Nothing is final because something was away; who does not want to wait cancels the job, or deletes it.
        """
        work = claim.work
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(work.attempt - 1, 16))
        with writing(self._engine) as connection:
            _note(connection, work, report_error=storable(why, limit=ERROR_LIMIT))
            self.work.fail_in(connection, work, why, again_after_s=pause_s)

    def untried(self, job_id: JobId) -> bool:
        """Whether the job's report is due and nothing is known against it yet."""
        due = select(func.count()).where(
            jobs.c.id == job_id, jobs.c.report_due_at.is_not(None), jobs.c.report_error.is_(None)
        )
        with reading(self._engine) as connection:
            return bool(connection.execute(due).scalar_one())


def _note(connection: Connection, work: Work, **values: Any) -> None:
    """The job first, then the work: everybody locks them in this order."""
    due = update(jobs).where(jobs.c.id == work.subject, jobs.c.report_due_at.is_not(None))
    if connection.execute(due.values(**values)).rowcount != 1:
        raise WorkLost(work.kind, work.subject)
