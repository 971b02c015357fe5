"""A database of the version before one table for slow work: what was under way goes on, and nothing is doubled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from alembic import command
from sqlalchemy import Connection, Engine, select, text
from support.builders import FINGERPRINT, entries, results_of

from jobs.completion_reports.report_queue import ReportQueue
from jobs.domain import Filters, JobId
from jobs.domain.states import JobState
from jobs.lifecycle.job_store import JobStore
from jobs.shards.entries import pack_entries
from jobs.shards.work_queue import WorkQueue
from jobs.sql.database import create_database_engine, epoch_now, writing
from jobs.sql.migrations import alembic_config, upgrade
from jobs.sql.rows import filters_to_json
from jobs.testing import MovableClock
from jobs.webhooks.outbox import Deliveries, WebhookOutbox

TOLD = JobId("told")


@dataclass(frozen=True, kw_only=True)
class Old:
    """The database after the upgrade, `clock` seconds later than it was filled."""

    engine: Engine
    clock: MovableClock


def insert_row(connection: Connection, table: str, **values: object) -> None:
    """As the program of before would; its tables are not those of today."""
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    inserted = text(f"INSERT INTO {table} ({names}) VALUES ({marks}) ")
    connection.execute(inserted, values)


def insert_job(connection: Connection, job_id: str, state: JobState, **values: object) -> None:
    fixed = {
        "source": "s3://photos/",
        "filters": json.dumps(filters_to_json(Filters())),
        "model_name": "m",
        "model_fingerprint": FINGERPRINT,
        "threshold": 0.5,
        "created_at": 1.0,
    }
    insert_row(connection, "jobs", id=job_id, state=state.value, **{**fixed, **values})


@pytest.fixture
def old(database_url: str) -> Iterator[Old]:
    engine = create_database_engine(database_url)
    with writing(engine) as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        fill(connection, connection.execute(select(epoch_now())).scalar_one())
    upgrade(engine)
    yield Old(engine=engine, clock=MovableClock())
    engine.dispose()


def fill(connection: Connection, now: float) -> None:
    insert_job(
        connection,
        "held",
        JobState.PREPARING,
        preparation_fence=3,
        preparation_expires_at=now + 100,
        preparation_cursor='{"seen": 4}',
        total=4,
    )
    insert_job(
        connection,
        "rests",
        JobState.PREPARING,
        preparation_fence=7,
        preparation_expires_at=now + 20,
        preparation_error="503 Slow Down",
    )
    insert_job(connection, "fresh", JobState.PREPARING, priority=5)
    insert_job(
        connection,
        "reported",
        JobState.COMPLETING,
        total=1,
        scored=1,
        report_prefix="s3://reports/",
        report_due_at=now - 60,
        report_attempt=2,
        report_expires_at=now + 30,
        report_error="503",
    )
    insert_job(connection, TOLD, JobState.CANCELLED, webhook="https://hooks.example.org/")
    for state, attempt, leased_until, not_before, delivered_at, given_up in (
        ("cancelling", 1, None, 0, now, False),
        ("cancelled", 3, now + 40, 0, None, False),
        ("failed", 2, None, now + 90, None, False),
        ("lost", 9, None, 0, None, True),
    ):
        insert_row(
            connection,
            "webhook_deliveries",
            job_id=TOLD,
            state=state,
            changed_at=1.0,
            body=f"it is {state}",
            attempt=attempt,
            lease_expires_at=leased_until,
            not_before=not_before,
            delivered_at=delivered_at,
            given_up=given_up,
        )
    insert_job(connection, "running", JobState.RUNNING, total=24)
    for number, (state, attempt) in enumerate((("leased", 1), ("leased", 6), ("queued", 5)), start=1):
        until = now + 10 if state == "leased" else None
        first = 8 * (number - 1)
        values = {"image_count": 8, "state": state, "attempt": attempt, "fence": 4, "lease_expires_at": until}
        insert_row(connection, "shards", id=number, job_id="running", first_ordinal=first, **values)
        insert_row(connection, "shard_entries", shard_id=number, entries=pack_entries(entries(8, first=first)))


def test_preparing_goes_on_where_it_was_and_nobody_who_holds_a_job_is_overtaken(old: Old) -> None:
    store = JobStore(old.engine, old.clock)
    fresh = store.claim_preparation(1000)
    assert fresh is not None
    assert fresh.job.id == "fresh"
    assert store.claim_preparation(1000) is None
    assert store.waits_for("rests") == "503 Slow Down"  # type: ignore[arg-type]
    old.clock.advance(25)
    rested = store.claim_preparation(1000)
    assert rested is not None
    assert (rested.job.id, rested.cursor, rested.work.fence) == ("rests", None, 8)
    assert store.claim_preparation(1000) is None
    old.clock.advance(80)
    held = store.claim_preparation(1000)
    assert held is not None
    assert (held.job.id, held.cursor, held.job.counts.total, held.work.fence) == ("held", {"seen": 4}, 4, 4)


def test_an_unfinished_report_is_written_with_its_attempts_counted(old: Old) -> None:
    reports = ReportQueue(old.engine, old.clock)
    assert reports.claim(60) is None  # somebody writes it
    old.clock.advance(31)
    report = reports.claim(60)
    assert report is not None
    assert (report.job.id, report.work.attempt, report.job.report_error) == ("reported", 3, "503")
    reports.written(report, "s3://reports/job-reported/manifest.json")
    assert JobStore(old.engine, old.clock).complete(JobId("reported")).state is JobState.COMPLETED


def test_webhooks_that_were_not_delivered_are_sent(old: Old) -> None:
    outbox = WebhookOutbox(old.engine, old.clock)
    assert outbox.claim(8, 60) == []  # one is being sent, one rests
    old.clock.advance(41)
    (message,) = outbox.claim(8, 60)
    assert (message.body, message.attempt) == ("it is cancelled", 3)  # the attempt under way had not failed
    outbox.delivered(message)
    old.clock.advance(50)
    assert [(each.body, each.attempt) for each in outbox.claim(8, 60)] == [("it is failed", 3)]
    assert outbox.summary(TOLD) == Deliveries(delivered=2, waiting=1, given_up=1)


def test_shards_that_were_held_are_screened(old: Old) -> None:
    queue = WorkQueue(old.engine, "worker", old.clock)
    assert [lease.first_ordinal for lease in queue.claim(9, 60, fingerprints=[FINGERPRINT])] == [16]
    old.clock.advance(61)
    assert queue.rescue() == 3
    leases = queue.claim(9, 60, fingerprints=[FINGERPRINT])
    assert [lease.first_ordinal for lease in leases] == [0, 8, 16]
    for lease in leases:
        queue.finish(lease, results_of(lease))
    assert JobStore(old.engine).get("running").counts.scored == 24
