"""Heartbeats are HOT updates: PostgreSQL writes the row anew in its page, and touches no index."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, text
from support.builders import entries, ready_job
from support.dispatching import wait_until
from support.queueing import LEASE_S, claim

from jobs.domain import Lease, WorkKind
from jobs.leased_work.enqueueing import enqueue_new
from jobs.leased_work.leases import WorkLeases
from jobs.shards.work_queue import WorkQueue
from jobs.sql.database import create_database_engine, reading, writing
from jobs.sql.metadata import ROOM_FOR_HEARTBEATS
from jobs.sql.migrations import upgrade
from jobs.sql.tables import leased_work, metadata, shards

SHARDS = 1000
WORKS = 300
#: rows of one claim: many at the start, few later on
CLAIMED_AT_ONCE = (16, SHARDS)
NEARLY_ALL = 0.95

pytestmark = pytest.mark.postgres


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    """Nothing was ever written there: rows that others left would give room, or take it."""
    engine = create_database_engine(postgres_url)
    upgrade(engine)
    yield engine
    engine.dispose()


class Updates:
    """What PostgreSQL counts of a table."""

    def __init__(self, engine: Engine, table: str) -> None:
        self._engine = engine
        self._table = table
        self._seen = 0

    def share_of_hot(self, update: Callable[[], object], rows: int) -> float:
        """Of an update of so many rows."""
        before = self._counts()[1]
        update()
        self.pass_over(rows)
        return (self._counts()[1] - before) / rows

    def pass_over(self, rows: int) -> None:
        """Wait until so many more are counted: a session tells of them at its end at the latest."""
        self._engine.dispose()
        self._seen += rows
        wait_until(lambda: self._counts()[0] >= self._seen)
        assert self._counts()[0] == self._seen

    def _counts(self) -> tuple[int, int]:
        counted = text("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = :table")
        with reading(self._engine) as connection:
            found = connection.execute(counted, {"table": self._table}).one()
        return found.n_tup_upd, found.n_tup_hot_upd


def assert_hot(updates: Updates, beat: Callable[[], object], rows: int) -> None:
    """From the first round behind the claim on."""
    updates.pass_over(rows)
    for _ in range(2):
        assert updates.share_of_hot(beat, rows) >= NEARLY_ALL


@pytest.mark.parametrize("at_once", CLAIMED_AT_ONCE)
def test_heartbeats_of_shards_touch_no_index(engine: Engine, at_once: int) -> None:
    """Pages were full: of the first two rounds, 2 and 4 updates in 100 were HOT."""
    ready_job(engine, entries(SHARDS), shard_size=1)
    queue, leases = WorkQueue(engine, "here"), list[Lease]()
    while found := claim(queue, at_once):
        leases += found
    assert_hot(Updates(engine, "shards"), lambda: queue.heartbeat(leases, LEASE_S), SHARDS)


def test_heartbeats_of_slow_work_touch_no_index(engine: Engine) -> None:
    with writing(engine) as connection:
        for number in range(WORKS):
            enqueue_new(connection, WorkKind.WEBHOOK, str(number))
    leases = WorkLeases(engine)
    works = leases.claim(WorkKind.WEBHOOK, WORKS, LEASE_S)
    assert_hot(Updates(engine, "leased_work"), lambda: leases.extend(works, LEASE_S), WORKS)


def test_the_tables_leave_the_room_that_the_program_states(engine: Engine) -> None:
    with reading(engine) as connection:
        rows = connection.execute(text("SELECT relname, reloptions FROM pg_class WHERE reloptions IS NOT NULL"))
        found = {row.relname: row.reloptions for row in rows if row.relname in metadata.tables}
    room = [f"{name}={value}" for name, value in ROOM_FOR_HEARTBEATS.items()]
    assert found == {table.name: room for table in (shards, leased_work)}
