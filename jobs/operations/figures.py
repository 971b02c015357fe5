"""What a database says of how it goes: counted at one moment, in few questions that indexes answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Select, func, literal, select, text

from jobs.domain.states import FINAL
from jobs.registry.dispatchers import GONE_AFTER_S
from jobs.sql.database import reading
from jobs.sql.model_tables import retraining_runs
from jobs.sql.rows import Clock, database_clock
from jobs.sql.tables import LEASED, QUEUED, dispatchers, hosted_models, jobs, leased_work, shards, verdicts

_OVER = [state.value for state in FINAL]
#: work that is done says nothing of how it goes
_WORK_STATES = ("queued", "leased", "failed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """One moment."""

    #: jobs by state
    jobs: Mapping[str, int]
    #: images of all jobs that are there, by what became of them: scored, reused, failed, flagged, waiting
    images: Mapping[str, int]
    #: seconds since the oldest job that is not over was submitted; 0 without any
    oldest_job_s: float
    #: shards that wait, are held, and are held by nobody any more: their lease has run out
    shards: Mapping[str, int]
    #: slow work by kind and state
    work: Mapping[tuple[str, str], int]
    #: flagged images that nobody has reviewed
    unreviewed: int
    #: that gave a sign of life lately
    dispatchers: int
    #: by the beginning of the fingerprint and state: dispatchers that say so
    hosted: Mapping[tuple[str, str], int]
    #: runs of retraining by state
    runs: Mapping[str, int]


def figures(engine: Engine, clock: Clock = database_clock) -> Figures:
    """Count. Raises one of DATABASE_AWAY."""
    with reading(engine) as connection:
        return Figures(
            jobs=_by(connection, select(jobs.c.state, func.count()).group_by(jobs.c.state)),
            images=_images(connection),
            oldest_job_s=_oldest(connection, clock),
            shards=_shards(connection, clock),
            work=_work(connection),
            unreviewed=_unreviewed(connection),
            dispatchers=_dispatchers(connection, clock),
            hosted=_hosted(connection, clock),
            runs=_by(connection, select(retraining_runs.c.state, func.count()).group_by(retraining_runs.c.state)),
        )


def _by(connection: Connection, counted: Select[Any]) -> dict[str, int]:
    return {str(name): int(count) for name, count in connection.execute(counted)}


def _images(connection: Connection) -> dict[str, int]:
    c = jobs.c
    sums = [func.coalesce(func.sum(each), 0) for each in (c.scored, c.reused, c.failed, c.flagged)]
    scored, reused, failed, flagged = map(int, connection.execute(select(*sums)).one())
    left = select(func.coalesce(func.sum(c.total - c.scored - c.reused - c.failed), 0)).where(c.state.not_in(_OVER))
    waiting = int(connection.execute(left).scalar_one())
    return {"scored": scored, "reused": reused, "failed": failed, "flagged": flagged, "waiting": waiting}


def _oldest(connection: Connection, clock: Clock) -> float:
    age = select(clock() - func.min(jobs.c.created_at)).where(jobs.c.state.not_in(_OVER))
    found = connection.execute(age).scalar_one()
    return 0.0 if found is None else max(0.0, float(found))


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
    # as the partial index says it
    counted = select(func.count()).select_from(verdicts).where(text("flagged AND review IS NULL"))
    return int(connection.execute(counted).scalar_one())


def _dispatchers(connection: Connection, clock: Clock) -> int:
    lately = dispatchers.c.seen_at > clock() - literal(GONE_AFTER_S)
    return int(connection.execute(select(func.count()).select_from(dispatchers).where(lately)).scalar_one())


def _hosted(connection: Connection, clock: Clock) -> dict[tuple[str, str], int]:
    c = hosted_models.c
    counted = select(c.fingerprint, c.state, func.count()).where(c.expires_at >= clock())
    rows = connection.execute(counted.group_by(c.fingerprint, c.state))
    return {(fingerprint[:12], state): int(count) for fingerprint, state, count in rows}
