"""A job's change of state in SQL, with all that belongs to it. Every change goes through here and through `states`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, exists, select, update

from jobs.domain import JobId, WorkKind
from jobs.domain.states import FINAL, JobState, ShardState, check_transition, settled
from jobs.leased_work.enqueueing import enqueue, withdraw
from jobs.sql.rows import Clock
from jobs.sql.tables import LEASED, QUEUED, jobs, shards
from jobs.webhooks.outbox import announce

_STOPPING = frozenset({JobState.CANCELLING, JobState.FAILING})
# built once: for every shard that is finished, it would take as long as what it asks
_OF_JOB = exists().where(shards.c.job_id == bindparam("job_id"))
_ANY_LEFT = select(_OF_JOB.where(shards.c.state == QUEUED), _OF_JOB.where(shards.c.state == LEASED))
#: the verdicts are what they will be: the completion report can be written
_REPORTED = frozenset({JobState.COMPLETING, JobState.CANCELLED, JobState.FAILED})


def move_job(
    connection: Connection, job_id: JobId, current: JobState, wanted: JobState, clock: Clock, **values: Any
) -> None:
    """Move a job whose row is locked by this transaction; `values` are columns that change with it."""
    check_transition(current, wanted)
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(state=wanted.value, **values))
    arrived(connection, job_id, wanted, clock)


def arrived(connection: Connection, job_id: JobId, state: JobState, clock: Clock) -> None:
    """What follows from a new state, in the transaction that wrote it to the job's row."""
    if state is JobState.DELETING:
        return  # it was over before; what there was to tell of it goes with it
    if state in FINAL:
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(finished_at=clock()))
    if state in _STOPPING or state is JobState.PAUSED:
        withdraw(connection, WorkKind.PREPARATION, job_id)
    if state in _REPORTED:
        due = update(jobs).where(jobs.c.id == job_id, jobs.c.report_prefix.is_not(None))
        if connection.execute(due.values(report_due_at=clock(), report_error=None)).rowcount:
            # whoever writes one now writes about a state that is past
            enqueue(connection, WorkKind.COMPLETION_REPORT, job_id, job_id=job_id)
    if state in (JobState.CANCELLED, JobState.FAILED):
        _clear_queue(connection, job_id)
    announce(connection, job_id, state, clock)


def settle_job(connection: Connection, job_id: JobId, clock: Clock, *, locked: JobState | None = None) -> JobState:
    """Move the job on if its shards allow it; called after whatever changes a shard or asks a job to stop.

    `locked`: its state, for a caller whose transaction has locked it already.
    """
    current = locked or JobState(
        connection.execute(select(jobs.c.state).where(jobs.c.id == job_id).with_for_update()).scalar_one()
    )
    # after the lock, in a statement of its own: what others changed while it was waited for must be seen
    queued, leased = connection.execute(_ANY_LEFT, {"job_id": job_id}).one()
    after = settled(current, any_queued=queued, any_leased=leased)
    if after is not current:
        move_job(connection, job_id, current, after, clock)
    return after


def _clear_queue(connection: Connection, job_id: JobId) -> None:
    """Nobody will ask for these shards again: take them out of the index of waiting ones.

    Elsewhere a shard is locked before its job. Here the job is locked already, so shards in somebody's hands are left
    out instead of waited for: only a claim can have them, and it clears them when it sees that the job is over.
    """
    waiting = (
        select(shards.c.id).where(shards.c.job_id == job_id, shards.c.state == QUEUED).with_for_update(skip_locked=True)
    )
    connection.execute(update(shards).where(shards.c.id.in_(waiting)).values(state=ShardState.CANCELLED.value))
