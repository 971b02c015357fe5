"""Clearing out old jobs: their verdicts and manifests go, the jobs stay with their counts, and so does what people did.

Verdicts that somebody reviewed, and those of audit samples, stay too: reviews, audits and links lead somewhere. Reviews
themselves, drawings, the registry and the audit log are not touched. The job says since when it is cleared out, before
the first row goes; shards go last, so that what is killed half-way is known by them, and gone on with.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ColumnElement, Engine, and_, delete, exists, func, select, update

from jobs.domain import JobId
from jobs.domain.states import FINAL, JobState
from jobs.errors import RequestRefused
from jobs.lifecycle.deletions import Deleted, check_unused
from jobs.lifecycle.job_table import locked
from jobs.sql.database import reading, writing
from jobs.sql.review_tables import audit_images
from jobs.sql.rows import Clock, database_clock, job_from_row
from jobs.sql.tables import jobs, shards, verdicts

#: rows of one transaction
_VERDICTS = 5000
_SHARDS = 500
_DAY_S = 86_400.0
_OVER = [state.value for state in FINAL - {JobState.DELETING}]
_IN_A_SAMPLE = exists().where(audit_images.c.job_id == verdicts.c.job_id, audit_images.c.ordinal == verdicts.c.ordinal)
_NOBODY_S = and_(verdicts.c.review.is_(None), verdicts.c.second_look.is_(None), ~_IN_A_SAMPLE)


class Retention:
    """The old jobs of one database."""

    def __init__(self, engine: Engine, clock: Clock = database_clock) -> None:
        self._engine = engine
        self._clock = clock

    def old(self, keep_days: float) -> list[JobId]:
        """Jobs that ended longer ago and have something to clear out, the oldest first."""
        c = jobs.c
        has_shards = exists().where(shards.c.job_id == c.id)
        wanted = select(c.id).where(c.state.in_(_OVER), c.finished_at < self._clock() - keep_days * _DAY_S, has_shards)
        with reading(self._engine) as connection:
            return [JobId(each) for each in connection.execute(wanted.order_by(c.finished_at, c.id)).scalars()]

    def removable(self, job_id: JobId) -> Deleted:
        """What would go, counted."""
        with reading(self._engine) as connection:
            counts = [
                connection.execute(select(func.count()).where(*conditions)).scalar_one()
                for conditions in ((verdicts.c.job_id == job_id, _NOBODY_S), (shards.c.job_id == job_id,))
            ]
        return Deleted(verdicts=counts[0], shards=counts[1])

    def clear_out(self, job_id: JobId) -> Iterator[Deleted]:
        """Remove what nobody has touched, transaction by transaction; ended half-way, the next call goes on.

        Raises JobNotFound, and RequestRefused for a job that is in use, as a deletion does.
        """
        self._mark(job_id)
        ends = select(func.min(verdicts.c.ordinal), func.max(verdicts.c.ordinal)).where(verdicts.c.job_id == job_id)
        with reading(self._engine) as connection:
            first, last = connection.execute(ends).one()
        for begin in range(first or 0, (-1 if last is None else last) + 1, _VERDICTS):
            place = and_(verdicts.c.ordinal >= begin, verdicts.c.ordinal < begin + _VERDICTS)
            yield Deleted(verdicts=self._delete(verdicts.c.job_id == job_id, place, _NOBODY_S))
        some = select(shards.c.id).where(shards.c.job_id == job_id).limit(_SHARDS).scalar_subquery()
        while True:
            with writing(self._engine) as connection:
                # their manifests go with them
                count = connection.execute(delete(shards).where(shards.c.id.in_(some))).rowcount
            if not count:
                return
            yield Deleted(shards=count)

    def _mark(self, job_id: JobId) -> None:
        with writing(self._engine) as connection:
            job = job_from_row(locked(connection, job_id))
            if job.state is JobState.DELETING:
                raise RequestRefused(job.id, "clear out", job.state, "it is being removed as a whole")
            check_unused(connection, job, "clear out")
            if job.reflag_to is not None:
                raise RequestRefused(job.id, "clear out", job.state, "it is being moved to another threshold")
            mark = update(jobs).where(jobs.c.id == job.id, jobs.c.verdicts_removed_at.is_(None))
            connection.execute(mark.values(verdicts_removed_at=self._clock()))

    def _delete(self, *conditions: ColumnElement[bool]) -> int:
        with writing(self._engine) as connection:
            return connection.execute(delete(verdicts).where(*conditions)).rowcount
