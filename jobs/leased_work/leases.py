"""The leases of slow work in SQL: claimed, prolonged, given back, failed, finished; on both databases alike."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Select, Update, func, literal, or_, select, tuple_, update

from jobs.domain import JobId, Work, WorkId, WorkKind, WorkState
from jobs.errors import WorkLost
from jobs.spans import note
from jobs.sql.database import reading, writing
from jobs.sql.rows import Clock, database_clock
from jobs.sql.tables import LEASED, QUEUED, jobs, leased_work
from jobs.sql.tallies import Retry, note_retries
from jobs.stored_text import storable

#: longest reason kept, in characters
ERROR_LIMIT = 4000

_t = leased_work.c
#: what is done for a job belongs to the job's trace, whatever made it due
_TAKEN = select(leased_work, func.coalesce(jobs.c.traceparent, _t.traceparent).label("trace")).outerjoin(jobs)


class WorkLeases:
    """The slow work of one database."""

    def __init__(self, engine: Engine, clock: Clock = database_clock) -> None:
        self._engine = engine
        self._clock = clock

    def claim(
        self,
        kind: WorkKind,
        limit: int,
        lease_s: float,
        *,
        job_id: JobId | None = None,
        held: Collection[WorkId] = (),
    ) -> list[Work]:
        """Take up to `limit` pieces of a kind: those whose holder vanished, then the most urgent, then the oldest.

        `held` is what this process has in its hands still: it is left to others.
        """
        now = self._clock()
        expired = _of(kind, job_id, held).where(_t.state == LEASED, _t.lease_expires_at < now)
        queued = _of(kind, job_id, held).where(_t.state == QUEUED, _t.not_before <= now)
        queued = queued.order_by(_t.priority.desc(), _t.not_before, _t.id)
        if not self._anything(expired, queued):
            return []
        with writing(self._engine) as connection:
            vanished = _locked_ids(connection, expired, limit)
            waiting = []
            if len(vanished) < limit:
                waiting = _locked_ids(connection, queued, limit - len(vanished))
            if not vanished and not waiting:
                return []
            taken = {"fence": _t.fence + 1, "lease_expires_at": self._clock() + literal(lease_s)}
            for found, more in (
                (vanished, {"vanished": _t.vanished + 1}),
                (waiting, {"state": WorkState.LEASED.value}),
            ):
                if found:
                    connection.execute(update(leased_work).where(_t.id.in_(found)).values(**taken, **more))
            rows = connection.execute(_TAKEN.where(_t.id.in_(vanished + waiting)).order_by(_t.id)).all()
            note_retries(connection, kind.value, Retry.EXPIRED, len(vanished))
        return [_work(row) for row in rows]

    def _anything(self, *wanted: Select[Any]) -> bool:
        """A look without locks: most find nothing, and on SQLite nobody else writes meanwhile."""
        with reading(self._engine) as connection:
            return any(connection.execute(each.limit(1)).first() for each in wanted)

    def extend(self, works: Sequence[Work], lease_s: float) -> list[Work]:
        """Prolong the leases in one statement; gives back those that are lost."""
        if not works:
            return []
        held = tuple_(_t.id, _t.fence).in_([(work.id, work.fence) for work in works])
        longer = (
            update(leased_work)
            .where(_t.state == LEASED, held)
            .values(lease_expires_at=self._clock() + literal(lease_s))
            .returning(_t.id)
        )
        with writing(self._engine) as connection:
            kept = set(connection.execute(longer).scalars())
        return [work for work in works if work.id not in kept]

    def release(self, work: Work, *, after_s: float = 0.0, reason: str | None = None) -> None:
        """Give it back; the attempt does not count. Nobody takes it before `after_s` seconds are over.

        Raises WorkLost.
        """
        with writing(self._engine) as connection:
            self.release_in(connection, work, after_s=after_s, reason=reason)

    def release_in(
        self, connection: Connection, work: Work, *, after_s: float = 0.0, reason: str | None = None
    ) -> None:
        """The same in a transaction of the caller."""
        self._change(connection, work, WorkState.QUEUED, not_before=self._clock() + literal(after_s), error=reason)

    def fail(self, work: Work, reason: str, *, again_after_s: float | None) -> None:
        """It went wrong on its own account: again after a pause, or, with None, never. Raises WorkLost."""
        with writing(self._engine) as connection:
            self.fail_in(connection, work, reason, again_after_s=again_after_s)

    def fail_in(self, connection: Connection, work: Work, reason: str, *, again_after_s: float | None) -> None:
        """The same in a transaction of the caller."""
        state = WorkState.FAILED if again_after_s is None else WorkState.QUEUED
        self._change(
            connection,
            work,
            state,
            attempt=work.attempt,
            not_before=self._clock() + literal(again_after_s or 0.0),
            error=reason,
        )
        note_retries(connection, work.kind.value, Retry.FAILED)

    def let_go(self, work: Work, reason: str) -> None:
        """It made no progress for too long: for others to take, counted as if its holder had vanished."""
        with writing(self._engine) as connection:
            self._change(connection, work, WorkState.QUEUED, vanished=work.vanished + 1, error=reason)
            note_retries(connection, work.kind.value, Retry.VANISHED)

    def finish_in(self, connection: Connection, work: Work) -> None:
        """It is done, in the transaction that writes what came of it. Raises WorkLost."""
        self._change(connection, work, WorkState.DONE, error=None)

    def hold_in(self, connection: Connection, work: Work, lease_s: float | None = None) -> None:
        """See that it is held still, and keep others from taking it until the transaction ends. Raises WorkLost."""
        until = _t.lease_expires_at if lease_s is None else self._clock() + literal(lease_s)
        if connection.execute(_held(work).values(lease_expires_at=until)).rowcount != 1:
            raise WorkLost(work.kind, work.subject)

    def untried(self, kind: WorkKind, job_id: JobId) -> bool:
        """Whether work of the job was never tried yet, or is being done."""
        fresh = select(_t.id).where(
            _t.job_id == job_id,
            _t.kind == kind.value,
            or_(_t.state == LEASED, (_t.state == QUEUED) & (_t.attempt == 0) & _t.error.is_(None)),
        )
        with reading(self._engine) as connection:
            return connection.execute(fresh.limit(1)).first() is not None

    @staticmethod
    def _change(connection: Connection, work: Work, state: WorkState, *, error: str | None, **values: Any) -> None:
        changed = _held(work).values(
            state=state.value,
            lease_expires_at=None,
            error=storable(error, limit=ERROR_LIMIT),
            **values,
        )
        if connection.execute(changed).rowcount != 1:
            raise WorkLost(work.kind, work.subject)
        note(outcome=state.value)


def _of(kind: WorkKind, job_id: JobId | None, held: Collection[WorkId]) -> Select[Any]:
    wanted = select(_t.id).where(_t.kind == kind.value)
    if job_id is not None:
        wanted = wanted.where(_t.job_id == job_id)
    return wanted.where(_t.id.not_in(held)) if held else wanted


def _locked_ids(connection: Connection, wanted: Select[Any], limit: int) -> list[int]:
    return list(connection.execute(wanted.limit(limit).with_for_update(skip_locked=True)).scalars())


def _held(work: Work) -> Update:
    """An update that touches nothing once somebody else has it, or nobody wants it."""
    return update(leased_work).where(_t.id == work.id, _t.fence == work.fence, _t.state == WorkState.LEASED.value)


def _work(row: Any) -> Work:
    return Work(
        id=WorkId(row.id),
        kind=WorkKind(row.kind),
        subject=row.subject,
        job_id=None if row.job_id is None else JobId(row.job_id),
        attempt=row.attempt + 1,
        vanished=row.vanished,
        fence=row.fence,
        traceparent=row.trace,
    )
