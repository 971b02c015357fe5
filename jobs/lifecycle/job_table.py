"""What every group of operations on jobs shares: the engine, the clock, and a row under its lock."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, false, select

from jobs.domain import Job, JobId, WorkKind, WorkState
from jobs.domain.access import ProjectName
from jobs.errors import JobNotFound
from jobs.leased_work.leases import WorkLeases
from jobs.sql.database import reading
from jobs.sql.rows import Clock, database_clock, job_from_row
from jobs.sql.tables import jobs, leased_work
from jobs.stored_text import is_storable

#: longest error kept with a job, in characters
ERROR_LIMIT = 4000


class JobTable:
    """The jobs of one database, by id."""

    def __init__(self, engine: Engine, clock: Clock = database_clock, *, project: ProjectName | None = None) -> None:
        """`project`: jobs of others are not there; None: the jobs of all, and new ones are of the default project."""
        self._engine = engine
        self._clock = clock
        self._project = project
        #: of the slow work of these jobs
        self.work = WorkLeases(engine, clock)

    def get(self, job_id: str) -> Job:
        """The job of this id. Raises JobNotFound."""
        with reading(self._engine) as connection:
            row = connection.execute(by_id(job_id, self._project)).one_or_none()
        if row is None:
            raise JobNotFound(job_id)
        return job_from_row(row)

    def _locked(self, connection: Connection, job_id: str) -> Row[Any]:
        """The row of a job, which nobody else changes until the transaction ends. Raises JobNotFound."""
        return locked(connection, job_id, self._project)


def by_id(job_id: str, project: ProjectName | None = None) -> Select[Any]:
    # what cannot be stored is nobody's id, and PostgreSQL would not take the question
    wanted = select(jobs).where(jobs.c.id == job_id if is_storable(job_id) else false())
    return wanted if project is None else wanted.where(jobs.c.project == project)


def is_frozen(connection: Connection, job_id: JobId) -> bool:
    """Whether the corpus of a job that is paused was frozen to its end before; jobs of old have no row of it."""
    left = select(leased_work.c.id).where(
        leased_work.c.job_id == job_id,
        leased_work.c.kind == WorkKind.PREPARATION.value,
        leased_work.c.state != WorkState.DONE.value,
    )
    return connection.execute(left.limit(1)).first() is None


def locked(connection: Connection, job_id: str, project: ProjectName | None = None) -> Row[Any]:
    """The row of a job, which nobody else changes until the transaction ends. Raises JobNotFound."""
    row = connection.execute(by_id(job_id, project).with_for_update()).one_or_none()
    if row is None:
        raise JobNotFound(job_id)
    return row
