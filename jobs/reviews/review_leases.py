"""Who looks at which image now: no two people are given the same one.

A lease is a hint for queues, and no right: who comes to an image by its address may decide on it all the same. It is
kept by asking for it again, and runs out by the database's clock; nothing is ever blocked for longer.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, delete, func, literal, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from jobs.domain import JobId, VerdictRef
from jobs.domain.reviews import ReviewLease
from jobs.sql.database import reading, writing
from jobs.sql.review_tables import review_leases
from jobs.sql.rows import Clock, database_clock
from jobs.stored_text import storable

_t = review_leases.c


class ReviewLeases:
    """The images in people's hands."""

    def __init__(self, engine: Engine, lease_s: float, clock: Clock = database_clock) -> None:
        """`lease_s`: seconds after which an image whose reviewer is silent is given to others."""
        self._engine = engine
        self.lease_s = lease_s
        self._clock = clock

    def take(
        self, job_id: JobId, ordinals: Collection[int], holder: str, name: str, *, no_others: bool = False
    ) -> frozenset[int]:
        """Lease these images of a job, or prolong their leases; gives those that are the holder's now.

        Those that somebody else has are left to him. `holder`: one at one desk; `name`: as others see him. `no_others`:
        what else he had of this job is free again.
        """
        # those that ran out, so that the table stays as small as what people look at
        gone = _t.expires_at < self._clock()
        if no_others:
            gone = or_(gone, and_(_t.holder == holder, _t.ordinal.not_in(ordinals)))
        self._remove(job_id, gone)
        if not ordinals:
            return frozenset()
        with writing(self._engine) as connection:
            return self._taken(connection, job_id, ordinals, {"holder": holder, "name": storable(name)})

    def of(self, job_id: JobId, ordinals: Collection[int] | None = None) -> dict[int, ReviewLease]:
        """Who has what of a job, or of these images of it, by ordinal."""
        wanted = select(review_leases).where(_t.job_id == job_id, _t.expires_at >= self._clock()).order_by(_t.ordinal)
        if ordinals is not None:
            wanted = wanted.where(_t.ordinal.in_(ordinals))
        with reading(self._engine) as connection:
            return {row.ordinal: _lease(row) for row in connection.execute(wanted)}

    def until(self, job_id: JobId, holder: str) -> float | None:
        """When the last of the holder's leases of a job ends, in seconds since 1970; None: he has none."""
        last = select(func.max(_t.expires_at)).where(_t.job_id == job_id, _t.holder == holder)
        with reading(self._engine) as connection:
            ends: float | None = connection.execute(last).scalar_one()
            return ends

    def release(
        self, job_id: JobId, holder: str, ordinals: Collection[int] | None = None, *, until: float | None = None
    ) -> int:
        """Give these images of a job back, or all that the holder has of it; how many they were.

        `until`: only what was leased to no later than this, as `until()` said; what he took since then stays his.
        """
        held = _t.holder == holder
        if until is not None:
            held = and_(held, _t.expires_at <= until)
        return self._remove(job_id, held if ordinals is None else and_(held, _t.ordinal.in_(ordinals)))

    def _remove(self, job_id: JobId, gone: ColumnElement[bool]) -> int:
        """In a transaction of its own, locked in one order: nobody waits for others in a ring."""
        some = select(_t.ordinal).where(_t.job_id == job_id, gone)
        with reading(self._engine) as connection:  # mostly there are none, and on SQLite nobody else writes meanwhile
            if connection.execute(some.limit(1)).first() is None:
                return 0
        with writing(self._engine) as connection:
            ordinals = list(connection.execute(some.order_by(_t.ordinal).with_for_update()).scalars())
            removed = delete(review_leases).where(_t.job_id == job_id, _t.ordinal.in_(ordinals))
            return connection.execute(removed).rowcount

    def _taken(
        self, connection: Connection, job_id: JobId, ordinals: Collection[int], values: dict[str, Any]
    ) -> frozenset[int]:
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        until = self._clock() + literal(self.lease_s)
        # in one order, as above
        rows = [
            {"job_id": job_id, "ordinal": ordinal, "expires_at": until, **values} for ordinal in sorted(set(ordinals))
        ]
        taking = dialect.insert(review_leases).values(rows)
        taking = taking.on_conflict_do_update(
            index_elements=["job_id", "ordinal"],
            set_={name: taking.excluded[name] for name in ("holder", "name", "expires_at")},
            where=or_(_t.holder == values["holder"], _t.expires_at < self._clock()),
        )
        return frozenset(connection.execute(taking.returning(_t.ordinal)).scalars())


def _lease(row: Row[Any]) -> ReviewLease:
    ref = VerdictRef(job_id=JobId(row.job_id), ordinal=row.ordinal)
    return ReviewLease(ref=ref, holder=row.holder, name=row.name, expires_at=row.expires_at)
