"""Two dispatchers at once, each a process of its own, on one real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Engine, select, update
from support.builders import FINGERPRINT, check_completed, entries, new_job, ready_job
from support.constant_dispatcher import ConstantDispatcher, Order
from support.dispatching import wait_until

from jobs.domain.states import JobState
from jobs.lifecycle.job_store import JobStore
from jobs.sql.database import create_database_engine, reading, writing
from jobs.sql.migrations import upgrade
from jobs.sql.tables import leased_work, verdicts

pytestmark = pytest.mark.postgres

SHARDS, SHARD_SIZE = 120, 4

Start = Callable[..., ConstantDispatcher]


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Engine]:
    engine = create_database_engine(postgres_url)
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def start(postgres_url: str) -> Iterator[Start]:
    started: list[ConstantDispatcher] = []

    def starting(job_id: str, worker: str, **fields: object) -> ConstantDispatcher:
        order = Order(database_url=postgres_url, job_id=job_id, fingerprint=FINGERPRINT, worker=worker, **fields)  # type: ignore[arg-type]
        started.append(ConstantDispatcher(order))
        return started[-1]

    yield starting
    for each in started:
        each.close()


def test_two_dispatchers_share_a_job_and_double_nothing(postgres: Engine, start: Start) -> None:
    job_id = ready_job(postgres, entries(SHARDS * SHARD_SIZE), shard_size=SHARD_SIZE)
    both = [start(job_id, name, shard_s=0.01) for name in ("first", "second")]
    for dispatcher in both:
        dispatcher.go()
    first, second = (dispatcher.result() for dispatcher in both)

    assert first.recorded, "the first did nothing"
    assert second.recorded, "the second did nothing"
    assert first.dropped == second.dropped == []
    screened = first.screened + second.screened
    assert len(screened) == len(set(screened)) == SHARDS, "a shard was scored twice"
    assert sorted(first.recorded + second.recorded) == sorted(screened)
    check_completed(postgres, job_id, SHARDS * SHARD_SIZE)


def test_results_of_a_dispatcher_that_was_frozen_beyond_its_lease_are_refused(postgres: Engine, start: Start) -> None:
    """It is stopped with a result in its hands, as by a debugger or a paused virtual machine, and goes on later."""
    job_id = ready_job(postgres, entries(20 * SHARD_SIZE), shard_size=SHARD_SIZE)
    frozen = start(job_id, "frozen", lease_s=1.0, stop_before_result=3)
    frozen.go()
    wait_until(lambda: psutil.Process(frozen.process.pid).status() == psutil.STATUS_STOPPED)
    other = start(job_id, "other")
    other.go()
    after = other.result()
    check_completed(postgres, job_id, 20 * SHARD_SIZE)

    psutil.Process(frozen.process.pid).resume()
    late = frozen.result()
    assert len(late.recorded) == 2, "it recorded two before it was stopped"
    assert late.dropped, "no late result was refused"
    assert set(late.dropped) <= set(after.recorded)
    assert not set(late.recorded) & set(after.recorded)
    assert len(late.recorded) + len(after.recorded) == 20
    check_completed(postgres, job_id, 20 * SHARD_SIZE)


def test_a_dispatcher_killed_while_it_prepares_is_followed_by_another(
    postgres: Engine, start: Start, tmp_path: Path
) -> None:
    """`kill -9` between two shards: no image is lost, none has two numbers."""
    names = [f"photo-{number:06d}.jpg" for number in range(30_000)]
    source = tmp_path / "list.csv"
    source.write_text("\n".join(["key", *names]))
    store = JobStore(postgres)
    job_id = store.submit(new_job(source=str(source)))
    killed = start(job_id, "killed")
    killed.go()
    wait_until(lambda: store.get(job_id).counts.total > 0)
    killed.close()
    before = store.get(job_id)
    assert before.state is JobState.PREPARING
    assert 0 < before.counts.total < len(names)

    with writing(postgres) as connection:  # the minute of its lease goes by
        connection.execute(update(leased_work).where(leased_work.c.job_id == job_id).values(lease_expires_at=0))
    other = start(job_id, "other")
    other.go()
    other.result()
    check_completed(postgres, job_id, len(names))
    with reading(postgres) as connection:
        keys = select(verdicts.c.key).where(verdicts.c.job_id == job_id).order_by(verdicts.c.ordinal)
        assert list(connection.execute(keys).scalars()) == names
