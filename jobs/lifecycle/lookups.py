"""Looking at the jobs of a database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, Select, exists, func, or_, select, tuple_

from jobs.domain import Fingerprint, Job, JobId, ModelDemand, ModelRef, WorkKind
from jobs.domain.pages import Page, decode_cursor, encode_cursor
from jobs.domain.states import CLAIMABLE, FINAL, JobState
from jobs.lifecycle.job_filters import JobFilter
from jobs.lifecycle.job_table import JobTable
from jobs.registry.dispatchers import Dispatchers
from jobs.sql.database import json_texts, reading
from jobs.sql.matching import model_is
from jobs.sql.rows import job_from_row
from jobs.sql.tables import LEASED, QUEUED, jobs, leased_work, shards
from jobs.stored_text import storable

#: jobs that somebody may claim shards of, or holds some of
_WITH_SHARDS = CLAIMABLE | {JobState.PAUSING}
#: what a job in one of these states waits for
_SLOW_WORK = {JobState.PREPARING: WorkKind.PREPARATION, JobState.COMPLETING: WorkKind.COMPLETION_REPORT}


class JobLookups(JobTable):
    """What can be asked about jobs without changing any."""

    def page(self, wanted: JobFilter, limit: int = 20, cursor: str | None = None) -> Page[Job]:
        """Up to `limit` (at least 1) jobs, newest first, and the cursor of the next page. Raises InvalidCursor."""
        statement = _newest_first(wanted)
        if self._project is not None:
            statement = statement.where(jobs.c.project == self._project)
        if cursor is not None:
            place = decode_cursor(cursor, wanted.digest, (float, str))
            statement = statement.where(tuple_(jobs.c.created_at, jobs.c.id) < tuple_(*place))
        with reading(self._engine) as connection:
            found = [job_from_row(row) for row in connection.execute(statement.limit(limit + 1))]
        if len(found) <= limit:
            return Page(items=tuple(found))
        last = found[limit - 1]
        return Page(items=tuple(found[:limit]), next_cursor=encode_cursor((last.created_at, last.id), wanted.digest))

    def latest(self, limit: int = 20) -> list[Job]:
        """All jobs, newest first, or so many of them."""
        return list(self.page(JobFilter(), limit).items)

    def completing(self) -> list[JobId]:
        """Jobs whose shards are all done and that wait to be closed, but not for their completion report."""
        with reading(self._engine) as connection:
            found = select(jobs.c.id).where(jobs.c.state == JobState.COMPLETING.value, jobs.c.report_due_at.is_(None))
            return [JobId(job_id) for job_id in connection.execute(found).scalars()]

    def attended(self, job_id: JobId) -> bool:
        """Whether somebody works on the job now: prepares it, or holds a shard of it."""
        now = self._clock()
        prepared = exists().where(
            leased_work.c.job_id == job_id,
            leased_work.c.kind == WorkKind.PREPARATION.value,
            leased_work.c.state == LEASED,
            leased_work.c.lease_expires_at >= now,
        )
        held = exists().where(shards.c.job_id == job_id, shards.c.state == LEASED, shards.c.lease_expires_at >= now)
        with reading(self._engine) as connection:
            return bool(connection.execute(select(or_(prepared, held))).scalar_one())

    def waits_for(self, job_id: JobId) -> str | None:
        """Why it does not go on: what its slow work met, the first shard that was tried in vain, or what clusters lack.

        None where nothing is in its way, or it is over. Raises JobNotFound.
        """
        job = self.get(job_id)
        if job.state is JobState.DELETING:
            return self._met(job_id, WorkKind.DELETION)
        if job.state in FINAL:
            return None
        if job.state in _SLOW_WORK:
            return job.preparation_error or job.report_error or self._met(job_id, _SLOW_WORK[job.state])
        tried = (
            select(shards.c.error)
            .where(shards.c.job_id == job_id, shards.c.state == QUEUED, shards.c.error.is_not(None))
            .order_by(shards.c.first_ordinal)
            .limit(1)
        )
        with reading(self._engine) as connection:
            met = connection.execute(tried).scalar_one_or_none()
        if met is None and job.state in CLAIMABLE and not self.attended(job_id):
            return Dispatchers(self._engine, self._clock).lacking()
        return met

    def _met(self, job_id: JobId, kind: WorkKind) -> str | None:
        met = select(leased_work.c.error).where(leased_work.c.job_id == job_id, leased_work.c.kind == kind.value)
        with reading(self._engine) as connection:
            return connection.execute(met).scalar_one_or_none()

    def models_in_demand(self, only: JobId | None = None) -> list[ModelDemand]:
        """The models that jobs with shards to be screened are pinned to, urgent ones first, then by their first job.

        `only`: looks at this job alone.
        """
        wanted = (
            select(
                jobs.c.model_fingerprint,
                func.min(jobs.c.model_name).label("name"),
                func.max(jobs.c.priority).label("priority"),
                func.min(jobs.c.id).label("first_job"),
                func.count().label("jobs"),
            )
            .where(jobs.c.state.in_([state.value for state in sorted(_WITH_SHARDS)]))
            .group_by(jobs.c.model_fingerprint)
            .order_by(func.max(jobs.c.priority).desc(), func.min(jobs.c.id))
        )
        if only is not None:
            wanted = wanted.where(jobs.c.id == only)
        with reading(self._engine) as connection:
            return [_demand(row) for row in connection.execute(wanted)]

    def models_under_way(self) -> frozenset[Fingerprint]:
        """Fingerprints of the models that somebody holds shards for."""
        held = (
            select(jobs.c.model_fingerprint)
            .join(shards, shards.c.job_id == jobs.c.id)
            .where(shards.c.state == LEASED, shards.c.lease_expires_at >= self._clock())
            .distinct()
        )
        with reading(self._engine) as connection:
            return frozenset(connection.execute(held).scalars())


def _newest_first(wanted: JobFilter) -> Select[Any]:
    statement = select(jobs).order_by(jobs.c.created_at.desc(), jobs.c.id.desc())
    if wanted.tag is not None:
        each = json_texts(jobs.c.tags).table_valued("value")
        statement = statement.where(exists().select_from(each).where(each.c.value == storable(wanted.tag)))
    if wanted.state is not None:
        statement = statement.where(jobs.c.state == wanted.state.value)
    if wanted.name is not None:
        statement = statement.where(jobs.c.name.icontains(storable(wanted.name), autoescape=True))
    if wanted.model is not None:
        statement = statement.where(model_is(wanted.model))
    if wanted.created_after is not None:
        statement = statement.where(jobs.c.created_at >= wanted.created_after)
    if wanted.created_before is not None:
        statement = statement.where(jobs.c.created_at <= wanted.created_before)
    return statement


def _demand(row: Row[Any]) -> ModelDemand:
    return ModelDemand(
        model=ModelRef(name=row.name, fingerprint=Fingerprint(row.model_fingerprint)),
        priority=row.priority,
        first_job=JobId(row.first_job),
        jobs=row.jobs,
    )
