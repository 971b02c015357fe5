"""Runs of retraining in SQL; every change goes with the lease of the run's piece of work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, Row, exists, insert, select, update

from jobs.domain import Work, WorkKind
from jobs.domain.retraining import OVER, Run, RunState
from jobs.errors import JobsError
from jobs.leased_work.enqueueing import enqueue_new
from jobs.leased_work.leases import WorkLeases
from jobs.lifecycle.submissions import new_job_id
from jobs.spans import note
from jobs.sql.database import reading, writing
from jobs.sql.model_tables import retraining_runs as runs
from jobs.sql.rows import Clock, database_clock
from jobs.sql.tables import LEASED, leased_work
from jobs.stored_text import storable

_LONGEST_ERROR = 4000


class RunNotFound(JobsError):
    """There is no run of this id."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(f"there is no run {run_id!r}")


class RunCancelled(JobsError):
    """Somebody asked for the end of this run."""


class RunStore:
    """The runs of one database."""

    def __init__(self, engine: Engine, clock: Clock = database_clock) -> None:
        self._engine = engine
        self._clock = clock
        self.work = WorkLeases(engine, clock)

    def create(self, request: Mapping[str, Any], *, schedule_id: str | None = None) -> Run:
        """A run that whoever works on this database takes up."""
        with writing(self._engine) as connection:
            run_id = self.create_in(connection, request, schedule_id=schedule_id)
        return self.get(run_id)

    def create_in(self, connection: Connection, request: Mapping[str, Any], *, schedule_id: str | None = None) -> str:
        """The same in a transaction of the caller; gives the id."""
        run_id = new_job_id()
        row = {"id": run_id, "state": RunState.QUEUED.value, "schedule_id": schedule_id, "request": dict(request)}
        connection.execute(insert(runs).values(**row, created_at=self._clock()))
        enqueue_new(connection, WorkKind.RETRAINING, run_id)
        return run_id

    def get(self, run_id: str) -> Run:
        """Raises RunNotFound."""
        with reading(self._engine) as connection:
            row = connection.execute(select(*_COLUMNS).where(runs.c.id == run_id)).one_or_none()
        if row is None:
            raise RunNotFound(run_id)
        return _run(row)

    def training(self, run_id: str) -> dict[str, Any] | None:
        """What was told of its training: `recipe`, `code_version`, and `curves`, rows of a metrics.csv with a step.

        None before it was trained.
        """
        with reading(self._engine) as connection:
            found = connection.execute(select(runs.c.training).where(runs.c.id == run_id)).scalar_one_or_none()
        return None if found is None else dict(found)

    def latest(self, limit: int = 20) -> list[Run]:
        """The newest first."""
        wanted = select(*_COLUMNS).order_by(runs.c.created_at.desc(), runs.c.id.desc()).limit(limit)
        with reading(self._engine) as connection:
            return [_run(row) for row in connection.execute(wanted)]

    def any_trains(self) -> bool:
        """Whether some run trains now, in the hands of somebody whose lease has not run out."""
        trains = exists().where(
            leased_work.c.kind == WorkKind.RETRAINING.value,
            leased_work.c.state == LEASED,
            leased_work.c.lease_expires_at >= self._clock(),
            runs.c.id == leased_work.c.subject,
            runs.c.state == RunState.TRAINING.value,
        )
        with reading(self._engine) as connection:
            return bool(connection.execute(select(trains)).scalar_one())

    def cancel(self, run_id: str) -> Run:
        """Ask for its end; one that is over stays as it is. Raises RunNotFound."""
        found = self.get(run_id)
        with writing(self._engine) as connection:
            asked = update(runs).where(runs.c.id == run_id, runs.c.state.not_in([state.value for state in OVER]))
            connection.execute(asked.values(cancelled=True))
        return self.get(found.id)

    def enter(self, work: Work, state: RunState, **values: Any) -> Run:
        """Go on to a state, with whatever is known by now. Raises WorkLost, RunCancelled."""
        with writing(self._engine) as connection:
            self.work.hold_in(connection, work)
            row = connection.execute(select(runs).where(runs.c.id == work.subject).with_for_update()).one()
            if row.cancelled:
                raise RunCancelled(f"run {work.subject} was cancelled")
            begun = {} if row.started_at is not None else {"started_at": self._clock()}
            connection.execute(
                update(runs).where(runs.c.id == work.subject).values(state=state.value, **begun, **values)
            )
        return self.get(work.subject)

    def finish(self, work: Work, state: RunState, *, error: str | None = None, **values: Any) -> Run:
        """The end of it, with its piece of work. Raises WorkLost."""
        with writing(self._engine) as connection:
            self.work.finish_in(connection, work)
            ended = {"state": state.value, "error": storable(error, limit=_LONGEST_ERROR), "finished_at": self._clock()}
            connection.execute(update(runs).where(runs.c.id == work.subject).values(**ended, **values))
        note(outcome=state.value)
        return self.get(work.subject)


_FIELDS = (
    "id",
    "schedule_id",
    "request",
    "parent",
    "snapshot",
    "contents",
    "fingerprint",
    "decision",
    "error",
    "created_at",
    "started_at",
    "finished_at",
)
#: without curves, which are long
_COLUMNS = [runs.c[name] for name in (*_FIELDS, "state", "cancelled")]


def _run(row: Row[Any]) -> Run:
    values = {name: getattr(row, name) for name in _FIELDS}
    return Run(**values, state=RunState(row.state), cancelled=bool(row.cancelled))
