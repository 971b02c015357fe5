"""What is to be told of jobs, in SQL: a transactional outbox, emptied under leases.

A row is written in the transaction that changes a job's state: no change goes untold, and nothing is told that was
rolled back.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update

from jobs.domain import JobId, Work, WorkId, WorkKind
from jobs.domain.states import FINAL, JobState
from jobs.domain.times import instant
from jobs.errors import WorkLost
from jobs.job_document import job_document
from jobs.leased_work.enqueueing import enqueue_new
from jobs.leased_work.leases import WorkLeases
from jobs.sql.database import reading, writing
from jobs.sql.rows import Clock, database_clock, job_from_row
from jobs.sql.tables import jobs, webhook_deliveries
from jobs.stored_text import storable
from jobs.verdicts.cases import most_suspect_cases

#: seconds before the second, third, ... attempt; after the last one the message is given up
PAUSES_S = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0)


#: cases that a message names
TOLD_CASES = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One message in the hands of the one who sends it."""

    id: int
    job_id: JobId
    url: str
    body: str
    work: Work

    @property
    def attempt(self) -> int:
        """From 1."""
        return self.work.attempt

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
    job = job_from_row(row)
    data = job_document(job)
    if job.options.case_from is not None and state in FINAL:
        cases = most_suspect_cases(connection, job_id, TOLD_CASES)
        data["cases"] = [{"case": name, "score": score} for name, score in cases]
    message = {"type": f"job.{state.value}", "timestamp": instant(row.now), "data": data}
    body = json.dumps(message, separators=(",", ":"))
    delivery = insert(webhook_deliveries).values(job_id=job_id, state=state.value, changed_at=row.now, body=body)
    subject = str(connection.execute(delivery.returning(webhook_deliveries.c.id)).scalar_one())
    enqueue_new(connection, WorkKind.WEBHOOK, subject, job_id=job_id)


class WebhookOutbox:
    """The messages of one database that wait to be sent."""

    def __init__(self, engine: Engine, clock: Clock = database_clock) -> None:
        self._engine = engine
        self._clock = clock
        self.work = WorkLeases(engine, clock)

    def claim(
        self, limit: int, lease_s: float, only: JobId | None = None, held: Collection[WorkId] = ()
    ) -> list[Delivery]:
        """Take up to `limit` messages that are due, oldest first; none that this process has `held` already."""
        works = self.work.claim(WorkKind.WEBHOOK, limit, lease_s, job_id=only, held=held)
        by_id = {int(work.subject): work for work in works}
        if not by_id:
            return []
        taken = (
            select(webhook_deliveries, jobs.c.webhook)
            .join(jobs, jobs.c.id == webhook_deliveries.c.job_id)
            .where(webhook_deliveries.c.id.in_(by_id))
            .order_by(webhook_deliveries.c.id)
        )
        with reading(self._engine) as connection:
            return [
                Delivery(id=row.id, job_id=JobId(row.job_id), url=row.webhook, body=row.body, work=by_id[row.id])
                for row in connection.execute(taken)
            ]

    def delivered(self, delivery: Delivery) -> None:
        """The receiver took it."""
        with self._ending(delivery, delivered_at=self._clock(), error=None) as connection:
            self.work.finish_in(connection, delivery.work)

    def failed(self, delivery: Delivery, reason: str, *, for_good: bool = False) -> None:
        """The receiver did not take it: again after a pause, until the attempts are used up."""
        given_up = for_good or delivery.attempt > len(PAUSES_S)
        pause_s = None if given_up else PAUSES_S[delivery.attempt - 1]
        with self._ending(delivery, given_up=given_up, error=storable(reason)) as connection:
            self.work.fail_in(connection, delivery.work, reason, again_after_s=pause_s)

    def release(self, deliveries: Sequence[Delivery]) -> None:
        """Give messages back unsent; the attempt does not count."""
        for delivery in deliveries:
            with suppress(WorkLost):
                self.work.release(delivery.work)

    def untried(self, job_id: JobId) -> bool:
        """Whether a message of this job was never sent, or is being sent."""
        return self.work.untried(WorkKind.WEBHOOK, job_id)

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

    @contextmanager
    def _ending(self, delivery: Delivery, **values: Any) -> Iterator[Connection]:
        """A transaction that writes how it went; nothing is written when somebody else has the message by now."""
        with suppress(WorkLost), writing(self._engine) as connection:
            yield connection
            connection.execute(
                update(webhook_deliveries).where(webhook_deliveries.c.id == delivery.id).values(**values)
            )
