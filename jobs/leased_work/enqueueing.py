"""Work becomes due, or is not wanted any more: in the transaction of whoever makes it so, or asks how it stands."""

from __future__ import annotations

from sqlalchemy import Connection, Select, insert, select, update

from jobs.domain import JobId, WorkKind, WorkState
from jobs.spans import traceparent
from jobs.sql.tables import leased_work

_OPEN = (WorkState.QUEUED.value, WorkState.LEASED.value)


def enqueue(
    connection: Connection, kind: WorkKind, subject: str, *, job_id: JobId | None = None, priority: int = 0
) -> None:
    """The work is to be done: for the first time, or once more from the beginning; whoever has it now has lost it."""
    anew = (
        update(leased_work)
        .where(leased_work.c.kind == kind.value, leased_work.c.subject == subject)
        .values(
            state=WorkState.QUEUED.value,
            priority=priority,
            attempt=0,
            vanished=0,
            not_before=0,
            fence=leased_work.c.fence + 1,
            lease_expires_at=None,
            error=None,
        )
    )
    if not connection.execute(anew).rowcount:
        enqueue_new(connection, kind, subject, job_id=job_id, priority=priority)


def enqueue_new(
    connection: Connection, kind: WorkKind, subject: str, *, job_id: JobId | None = None, priority: int = 0
) -> None:
    """The same for a subject that is as new as its row."""
    connection.execute(
        insert(leased_work).values(
            kind=kind.value,
            subject=subject,
            job_id=job_id,
            state=WorkState.QUEUED.value,
            priority=priority,
            traceparent=traceparent(),
        )
    )


def withdraw(connection: Connection, kind: WorkKind, job_id: JobId) -> None:
    """Nobody wants this work of the job any more; whoever has it has lost it."""
    connection.execute(
        update(leased_work)
        .where(leased_work.c.job_id == job_id, leased_work.c.kind == kind.value, leased_work.c.state.in_(_OPEN))
        .values(state=WorkState.CANCELLED.value, lease_expires_at=None)
    )


def is_under_way(connection: Connection, kind: WorkKind, subject: str) -> bool:
    """Whether somebody does this work, or will."""
    found = _row(kind, subject).where(leased_work.c.state.in_(_OPEN))
    return connection.execute(found).first() is not None


def failure(connection: Connection, kind: WorkKind, subject: str) -> str | None:
    """Why nobody will do this work any more; None where that is not so."""
    found = _row(kind, subject).where(leased_work.c.state == WorkState.FAILED.value)
    row = connection.execute(found).first()
    return None if row is None else row.error or "given up"


def _row(kind: WorkKind, subject: str) -> Select[tuple[str | None]]:
    return select(leased_work.c.error).where(leased_work.c.kind == kind.value, leased_work.c.subject == subject)


def prioritize(connection: Connection, job_id: JobId, priority: int) -> None:
    """Work of the job that waits goes by this priority from now on."""
    connection.execute(update(leased_work).where(leased_work.c.job_id == job_id).values(priority=priority))
