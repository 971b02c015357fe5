"""What a database says of how it goes: counted at one moment, in few questions that indexes answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, and_, case, exists, func, literal, or_, select, text

from jobs.domain import WorkKind
from jobs.domain.retraining import OVER
from jobs.domain.states import CLAIMABLE, FINAL
from jobs.registry.dispatchers import GONE_AFTER_S
from jobs.sql.database import reading
from jobs.sql.model_tables import retraining_runs
from jobs.sql.rows import Clock, database_clock
from jobs.sql.tables import LEASED, QUEUED, dispatchers, hosted_models, jobs, leased_work, shards, tallies, verdicts
from jobs.sql.tallies import SHARD, deleted_images, retries

_OVER = [state.value for state in FINAL]
#: what a verdict can be
OUTCOMES = ("scored", "reused", "failed")
#: kinds of work that are leased, and so can be taken back
KINDS = (SHARD, *(kind.value for kind in WorkKind))
_RUNS_OVER = [state.value for state in OVER]
#: work that is done says nothing of how it goes
_WORK_STATES = ("queued", "leased", "failed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """One moment."""

    #: jobs by state
    jobs: Mapping[str, int]
    #: jobs that are not over and met something: a storage that is away, a shard that was tried in vain
    held_up: int
    #: images of all jobs that are there, by what became of them: scored, reused, failed, flagged, waiting
    images: Mapping[str, int]
    #: images that ever got a verdict here, those of deleted jobs included: scored, reused, failed
    recorded: Mapping[str, int]
    #: seconds since the oldest job that is not over was submitted; 0 without any
    oldest_job_s: float
    #: seconds for which the job whose turn is longest due had none, although shards of it wait; 0 where none waits
    queue_age_s: float
    #: shards that wait, are held, and are held by nobody any more: their lease has run out
    shards: Mapping[str, int]
    #: slow work by kind and state
    work: Mapping[tuple[str, str], int]
    #: seconds since the first lease ran out that nobody has taken back yet, of a shard or of slow work; 0 without any
    overdue_lease_s: float
    #: how often work was taken back or failed, by kind and reason
    retries: Mapping[tuple[str, str], int]
    #: flagged images that nobody has reviewed
    unreviewed: int
    #: seconds since the oldest job with such images was submitted; 0 without any
    oldest_unreviewed_s: float
    #: images on which two people are to decide, by where they stand
    second_looks: Mapping[str, int]
    #: that gave a sign of life lately
    dispatchers: int
    #: by the beginning of the fingerprint and state: dispatchers that say so
    hosted: Mapping[tuple[str, str], int]
    #: runs of retraining by state
    runs: Mapping[str, int]
    #: seconds since the oldest run that is not over was asked for; 0 without any
    oldest_run_s: float


_UNREVIEWED = text("verdicts.flagged AND verdicts.review IS NULL")  # as the partial indexes say it
#: why the first of a job's waiting shards waits
FIRST_WAITING = (
    select(shards.c.error)
    .where(shards.c.job_id == jobs.c.id, shards.c.state == QUEUED)
    .order_by(shards.c.first_ordinal)
    .limit(1)
    .scalar_subquery()
)
#: what was given back lies before what nobody has had yet
_HELD_UP = (
    select(func.count())
    .select_from(jobs)
    .where(
        jobs.c.state.not_in(_OVER),
        or_(
            jobs.c.preparation_error.is_not(None),
            jobs.c.report_error.is_not(None),
            FIRST_WAITING.is_not(None),
        ),
    )
)
#: the jobs in their order, each with a look into the index: there are few before the first one that has some
_OLDEST_UNREVIEWED = (
    select(jobs.c.created_at)
    .where(jobs.c.flagged > 0, exists().where(and_(verdicts.c.job_id == jobs.c.id, _UNREVIEWED)))
    .order_by(jobs.c.created_at, jobs.c.id)
    .limit(1)
)
_SECOND_LOOKS = (
    select(verdicts.c.second_look, func.count()).where(text("second_look IS NOT NULL")).group_by(verdicts.c.second_look)
)


def figures(engine: Engine, clock: Clock = database_clock) -> Figures:
    """Count. Raises one of DATABASE_AWAY."""
    runs = retraining_runs.c
    with reading(engine) as connection:
        images, recorded = _images(connection)
        return Figures(
            jobs=_by(connection, select(jobs.c.state, func.count()).group_by(jobs.c.state)),
            held_up=int(connection.execute(_HELD_UP).scalar_one()),
            images=images,
            recorded=recorded,
            oldest_job_s=_age(connection, clock, select(func.min(jobs.c.created_at)).where(jobs.c.state.not_in(_OVER))),
            queue_age_s=_age(connection, clock, _longest_without_a_turn(clock)),
            shards=_shards(connection, clock),
            work=_work(connection),
            overdue_lease_s=max(_age(connection, clock, each) for each in _first_leases_that_ran_out(clock)),
            retries=retries(connection, KINDS),
            unreviewed=_unreviewed(connection),
            oldest_unreviewed_s=_age(connection, clock, _OLDEST_UNREVIEWED),
            second_looks=_by(connection, _SECOND_LOOKS),
            dispatchers=_dispatchers(connection, clock),
            hosted=_hosted(connection, clock),
            runs=_by(connection, select(runs.state, func.count()).group_by(runs.state)),
            oldest_run_s=_age(
                connection, clock, select(func.min(runs.created_at)).where(runs.state.not_in(_RUNS_OVER))
            ),
        )


def _by(connection: Connection, counted: Select[Any]) -> dict[str, int]:
    return {str(name): int(count) for name, count in connection.execute(counted)}


def _images(connection: Connection) -> tuple[dict[str, int], dict[str, int]]:
    """Those that are there, and those that were ever recorded: in one statement, which sees every deletion or none."""
    c = jobs.c
    waiting = case((c.state.in_(_OVER), 0), else_=c.total - c.scored - c.reused - c.failed)
    there = {"scored": c.scored, "reused": c.reused, "failed": c.failed, "flagged": c.flagged, "waiting": waiting}
    sums: list[ColumnElement[Any]] = [func.coalesce(func.sum(each), 0) for each in there.values()]
    sums += [
        func.coalesce(select(tallies.c.count).where(tallies.c.name == deleted_images(each)).scalar_subquery(), 0)
        for each in OUTCOMES
    ]
    found = [int(each) for each in connection.execute(select(*sums)).one()]
    images = dict(zip(there, found, strict=False))
    deleted = dict(zip(OUTCOMES, found[len(there) :], strict=True))
    return images, {each: images[each] + deleted[each] for each in OUTCOMES}


def _age(connection: Connection, clock: Clock, since: Select[Any]) -> float:
    """Seconds since a moment that a statement finds; 0 where it finds none."""
    found = connection.execute(select(clock() - since.scalar_subquery())).scalar_one()
    return 0.0 if found is None else max(0.0, float(found))


def _longest_without_a_turn(clock: Clock) -> Select[Any]:
    c = jobs.c
    waits = exists().where(shards.c.job_id == c.id, shards.c.state == QUEUED, shards.c.not_before <= clock())
    last = case((c.claimed_at > 0, c.claimed_at), else_=c.created_at)
    return select(func.min(last)).where(c.state.in_(sorted(CLAIMABLE)), waits)


def _first_leases_that_ran_out(clock: Clock) -> list[Select[Any]]:
    return [
        select(func.min(table.c.lease_expires_at)).where(table.c.state == LEASED, table.c.lease_expires_at < clock())
        for table in (shards, leased_work)
    ]


def _shards(connection: Connection, clock: Clock) -> dict[str, int]:
    def count(*conditions: object) -> int:
        return int(connection.execute(select(func.count()).select_from(shards).where(*conditions)).scalar_one())  # type: ignore[arg-type]

    held = shards.c.state == LEASED
    return {
        "queued": count(shards.c.state == QUEUED),
        "leased": count(held),
        "expired": count(held, shards.c.lease_expires_at < clock()),
    }


def _work(connection: Connection) -> dict[tuple[str, str], int]:
    c = leased_work.c
    counted = select(c.kind, c.state, func.count()).where(c.state.in_(_WORK_STATES)).group_by(c.kind, c.state)
    return {(kind, state): int(count) for kind, state, count in connection.execute(counted)}


def _unreviewed(connection: Connection) -> int:
    counted = select(func.count()).select_from(verdicts).where(_UNREVIEWED)
    return int(connection.execute(counted).scalar_one())


def _dispatchers(connection: Connection, clock: Clock) -> int:
    lately = dispatchers.c.seen_at > clock() - literal(GONE_AFTER_S)
    return int(connection.execute(select(func.count()).select_from(dispatchers).where(lately)).scalar_one())


def _hosted(connection: Connection, clock: Clock) -> dict[tuple[str, str], int]:
    c = hosted_models.c
    counted = select(c.fingerprint, c.state, func.count()).where(c.expires_at >= clock())
    rows = connection.execute(counted.group_by(c.fingerprint, c.state))
    return {(fingerprint[:12], state): int(count) for fingerprint, state, count in rows}
