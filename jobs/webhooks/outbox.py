"""What is to be told of jobs, in SQL: a transactional outbox, emptied under leases.

A row is written in the transaction that changes a job's state: no change goes untold, and nothing is told that was
rolled back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, literal, or_, select, text, update

from jobs.domain import JobId
from jobs.domain.states import JobState
from jobs.job_document import instant, job_document
from jobs.sql.database import reading, writing
from jobs.sql.rows import Clock, database_clock, job_from_row
from jobs.sql.tables import jobs, webhook_deliveries
from jobs.stored_text import storable

#: seconds before the second, third, ... attempt; after the last one the message is given up
PAUSES_S = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0)

# as the partial index says it, letter for letter
_WAITING = text("delivered_at IS NULL AND NOT given_up")


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One message in the hands of the one who sends it."""

    id: int
    job_id: JobId
    url: str
    body: str
    #: counts from 1, and tells a late sender from the present one
    attempt: int

    @property
    def message_id(self) -> str:
        """The same at every attempt: a receiver knows it again."""
        return f"msg_{self.job_id}_{self.id}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Deliveries:
    """How the messages of one job fared."""

    delivered: int = 0
    waiting: int = 0
    given_up: int = 0
    #: what went wrong last
    error: str | None = None


def announce(connection: Connection, job_id: JobId, state: JobState, clock: Clock) -> None:
    """Write the message that the job is in this state now, if anybody wants to hear of it."""
    wanted = select(jobs, clock().label("now")).where(jobs.c.id == job_id, jobs.c.webhook.is_not(None))
    row = connection.execute(wanted).one_or_none()
    if row is None:
        return
    message = {"type": f"job.{state.value}", "timestamp": instant(row.now), "data": job_document(job_from_row(row))}
    body = json.dumps(message, separators=(",", ":"))
    connection.execute(
        insert(webhook_deliveries).values(job_id=job_id, state=state.value, changed_at=row.now, body=body)
    )


class WebhookOutbox:
    """The messages of one database that wait to be sent."""

    def __init__(self, engine: Engine, clock: Clock = database_clock) -> None:
        self._engine = engine
        self._clock = clock

    def claim(self, limit: int, lease_s: float, only: JobId | None = None) -> list[Delivery]:
        """Take up to `limit` messages that are due, oldest first; the attempt counts from here on."""
        now = self._clock()
        waiting = (
            select(webhook_deliveries.c.id)
            .where(_WAITING, webhook_deliveries.c.not_before <= now)
            .where(or_(webhook_deliveries.c.lease_expires_at.is_(None), webhook_deliveries.c.lease_expires_at < now))
            .order_by(webhook_deliveries.c.not_before, webhook_deliveries.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        if only is not None:
            waiting = waiting.where(webhook_deliveries.c.job_id == only)
        with writing(self._engine) as connection:
            found = list(connection.execute(waiting).scalars())
            if not found:
                return []
            connection.execute(
                update(webhook_deliveries)
                .where(webhook_deliveries.c.id.in_(found))
                .values(attempt=webhook_deliveries.c.attempt + 1, lease_expires_at=self._clock() + literal(lease_s))
            )
            taken = (
                select(webhook_deliveries, jobs.c.webhook)
                .join(jobs, jobs.c.id == webhook_deliveries.c.job_id)
                .where(webhook_deliveries.c.id.in_(found))
                .order_by(webhook_deliveries.c.id)
            )
            return [
                Delivery(id=row.id, job_id=JobId(row.job_id), url=row.webhook, body=row.body, attempt=row.attempt)
                for row in connection.execute(taken)
            ]

    def delivered(self, delivery: Delivery) -> None:
        """The receiver took it."""
        self._change(delivery, delivered_at=self._clock(), error=None)

    def failed(self, delivery: Delivery, reason: str, *, for_good: bool = False) -> None:
        """The receiver did not take it: again after a pause, until the attempts are used up."""
        if for_good or delivery.attempt > len(PAUSES_S):
            self._change(delivery, given_up=True, error=storable(reason))
        else:
            pause = literal(PAUSES_S[delivery.attempt - 1])
            self._change(delivery, not_before=self._clock() + pause, error=storable(reason))

    def release(self, deliveries: Sequence[Delivery]) -> None:
        """Give messages back unsent; the attempt does not count."""
        for delivery in deliveries:
            self._change(delivery, attempt=delivery.attempt - 1)

    def untried(self, job_id: JobId) -> bool:
        """Whether a message of this job was never sent, or is being sent."""
        found = select(func.count()).where(
            _WAITING,
            webhook_deliveries.c.job_id == job_id,
            or_(webhook_deliveries.c.attempt == 0, webhook_deliveries.c.lease_expires_at.is_not(None)),
        )
        with reading(self._engine) as connection:
            return bool(connection.execute(found.select_from(webhook_deliveries)).scalar_one())

    def summary(self, job_id: JobId) -> Deliveries:
        """How the messages of the job fared."""
        told = select(webhook_deliveries).where(webhook_deliveries.c.job_id == job_id).order_by(webhook_deliveries.c.id)
        with reading(self._engine) as connection:
            rows = connection.execute(told).all()
        delivered, given_up = sum(row.delivered_at is not None for row in rows), sum(row.given_up for row in rows)
        return Deliveries(
            delivered=delivered,
            given_up=given_up,
            waiting=len(rows) - delivered - given_up,
            error=next((row.error for row in reversed(rows) if row.error), None),
        )

    def _change(self, delivery: Delivery, **values: Any) -> None:
        held = (
            update(webhook_deliveries)
            .where(webhook_deliveries.c.id == delivery.id, webhook_deliveries.c.attempt == delivery.attempt)
            .where(webhook_deliveries.c.lease_expires_at.is_not(None))
            .values(lease_expires_at=None, **values)
        )
        with writing(self._engine) as connection:
            connection.execute(held)
