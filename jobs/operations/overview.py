"""What goes on in a database now, for people who look at a terminal: the figures, and the rows behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, case, func, literal, null, select

from jobs.domain import Job, WorkKind, WorkState
from jobs.domain.retraining import OVER, RunState
from jobs.domain.states import CLAIMABLE, FINAL, JobState
from jobs.operations.figures import FIRST_WAITING, Figures, figures
from jobs.registry.dispatchers import GONE_AFTER_S, ShardBudget
from jobs.sql.database import reading
from jobs.sql.model_tables import retraining_runs
from jobs.sql.rows import Clock, database_clock, job_from_row
from jobs.sql.tables import dispatchers, jobs, leased_work

#: rows of each kind; the figures count the rest
ROWS = 20
_FAILURES = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenJob:
    """A job that is not over."""

    job: Job
    #: what it met last, while it waits; None where nothing is in its way
    met: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenDispatcher:
    """Somebody who works on this database."""

    name: str
    #: seconds since it began, and since it was seen last
    up_s: float
    seen_s: float
    #: what its cluster has too little of
    lacks: str | None
    #: what it keeps to while a model is trained
    budget: ShardBudget | None

    @property
    def is_gone(self) -> bool:
        """Whether it was not seen for so long that it counts as gone; its row goes after a day."""
        return self.seen_s > GONE_AFTER_S


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Something that will not be tried again."""

    #: `job`, a kind of slow work, or `run`
    what: str
    #: the id of the job or run; what the work is done to
    subject: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenRun:
    """A run of retraining that is not over."""

    id: str
    state: str
    #: seconds since it was asked for
    age_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """One moment."""

    #: seconds since the epoch, by the database's clock
    now: float
    figures: Figures
    #: in the order in which it is their turn; at most `ROWS`
    jobs: Sequence[OpenJob]
    dispatchers: Sequence[SeenDispatcher]
    #: the last few jobs, pieces of work and runs that failed
    failures: Sequence[Failure]
    runs: Sequence[OpenRun]


def overview(engine: Engine, clock: Clock = database_clock) -> Overview:
    """Look. Raises one of DATABASE_AWAY."""
    counted = figures(engine, clock)
    with reading(engine) as connection:
        now = float(connection.execute(select(clock())).scalar_one())
        return Overview(
            now=now,
            figures=counted,
            jobs=_jobs(connection),
            dispatchers=_dispatchers(connection, now),
            failures=[*_failed_jobs(connection), *_failed_work(connection), *_failed_runs(connection)],
            runs=_runs(connection, now),
        )


def _jobs(connection: Connection) -> list[OpenJob]:
    claimable = jobs.c.state.in_(sorted(CLAIMABLE))
    met = func.coalesce(jobs.c.preparation_error, jobs.c.report_error, case((claimable, FIRST_WAITING), else_=null()))
    wanted = (
        select(jobs, met.label("met"))
        .where(jobs.c.state.not_in([state.value for state in FINAL]))
        .order_by(jobs.c.priority.desc(), jobs.c.created_at, jobs.c.id)
        .limit(ROWS)
    )
    return [OpenJob(job=job_from_row(row), met=row.met) for row in connection.execute(wanted)]


def _dispatchers(connection: Connection, now: float) -> list[SeenDispatcher]:
    rows = connection.execute(
        select(dispatchers).order_by(dispatchers.c.seen_at.desc(), dispatchers.c.name).limit(ROWS)
    )
    return [
        SeenDispatcher(
            name=row.name,
            up_s=now - row.started_at,
            seen_s=max(0.0, now - row.seen_at),
            lacks=row.lacks,
            budget=None
            if row.shards_usual is None
            else ShardBudget(at_once=row.shards_at_once, usual=row.shards_usual),
        )
        for row in rows
    ]


def _failed_jobs(connection: Connection) -> list[Failure]:
    wanted = (
        select(literal("job"), jobs.c.id, jobs.c.error)
        .where(jobs.c.state == JobState.FAILED.value)
        .order_by(jobs.c.finished_at.desc(), jobs.c.id.desc())
    )
    return [_failure(*row) for row in connection.execute(wanted.limit(_FAILURES))]


def _failed_work(connection: Connection) -> list[Failure]:
    c = leased_work.c
    # a job whose preparing failed says so itself
    failed = (c.state == WorkState.FAILED.value) & (c.kind != WorkKind.PREPARATION.value)
    wanted = select(c.kind, c.subject, c.error).where(failed).order_by(c.id.desc())
    return [_failure(*row) for row in connection.execute(wanted.limit(_FAILURES))]


def _failed_runs(connection: Connection) -> list[Failure]:
    c = retraining_runs.c
    wanted = (
        select(literal("run"), c.id, c.error)
        .where(c.state == RunState.FAILED.value)
        .order_by(c.created_at.desc(), c.id.desc())
    )
    return [_failure(*row) for row in connection.execute(wanted.limit(_FAILURES))]


def _failure(what: str, subject: str, reason: str | None) -> Failure:
    return Failure(what=what, subject=subject, reason=reason or "given up")


def _runs(connection: Connection, now: float) -> list[OpenRun]:
    c = retraining_runs.c
    wanted = select(c.id, c.state, c.created_at).where(c.state.not_in([state.value for state in OVER]))
    rows = connection.execute(wanted.order_by(c.created_at, c.id).limit(ROWS))
    return [OpenRun(id=row.id, state=row.state, age_s=max(0.0, now - row.created_at)) for row in rows]
