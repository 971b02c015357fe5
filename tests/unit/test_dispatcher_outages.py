"""The dispatcher when the database goes away, when it is stopped, and when there are two of it."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Engine
from support.builders import (
    FINGERPRINT,
    Bench,
    check_accounts,
    check_completed,
    fill,
    new_job,
    picture,
    shard_rows,
)
from support.dispatching import (
    PATIENCE_S,
    Gate,
    HurriedClock,
    InlineRunner,
    complete,
    hurried_queue,
    prepare,
    running,
    wait_until,
)

from jobs import outage
from jobs.domain import Filters, ImageKey, Lease, ObjectInfo, Verdict
from jobs.domain.states import JobState
from jobs.errors import StorageUnavailable
from jobs.lifecycle.job_store import JobStore
from jobs.screening.thread_runner import ThreadRunner
from jobs.shards.work_queue import WorkQueue
from jobs.sql.errors import DatabaseAway
from jobs.storage import MemoryStorage, OpenStorage

pytestmark = pytest.mark.usefixtures("hurried")

AWAY = DatabaseAway("SELECT 1", {}, Exception("the server closed the connection"))


# -- the database


class Flaky(WorkQueue):
    """Loses the connection at every third step: before it, or after it when nobody hears of the success."""

    def __init__(self, engine: Engine, when: str) -> None:
        super().__init__(engine, "flaky", HurriedClock())
        self._when = when
        self._steps = Counter[str]()

    def _step(self, name: str, when: str) -> None:
        if when == self._when:
            self._steps[name] += 1
            if self._steps[name] % 3 == 1:
                raise AWAY

    def finish(self, lease: Lease, results: Sequence[Verdict]) -> JobState:
        self._step("finish", "before")
        state = super().finish(lease, results)
        self._step("finish", "after")
        return state

    def claim(self, limit: int, lease_s: float, **where: Any) -> list[Lease]:
        self._step("claim", "before")
        return super().claim(limit, lease_s, **where)

    def heartbeat(self, leases: Sequence[Lease], lease_s: float) -> list[Lease]:
        self._step("heartbeat", "before")
        return super().heartbeat(leases, lease_s)

    def rescue(self) -> int:
        self._step("rescue", "before")
        return super().rescue()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_database_that_is_away_at_times_loses_and_doubles_nothing(bench: Bench, when: str) -> None:
    job_id = bench.submit(60)
    complete(bench, job_id, 60, queue=Flaky(bench.engine, when), lease_s=1e6)
    job = bench.store.get(job_id)
    assert (job.counts.scored, job.counts.failed) == (60, 0)


def test_what_happened_to_a_shard_is_told_once_however_long_the_database_is_away(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    class Away(WorkQueue):
        left = 20

        def release(self, lease: Lease, reason: str | None = None) -> None:
            if self.left:
                self.left -= 1
                raise AWAY
            super().release(lease, reason)

    job_id = bench.submit(8)
    bench.scorer.unavailable = 1
    complete(bench, job_id, 8, queue=Away(bench.engine, "away", HurriedClock()), lease_s=1e6)
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [words.split(":")[0].split(" after ")[0] for words in told] == [
        "the database is away, waiting for it",
        "shard 1 waits",
        "the database is back",
    ]


def test_a_preparation_starts_over_when_the_database_was_away(bench: Bench) -> None:
    class Away(JobStore):
        left = 2

        def extend_preparation(self, *args: object, **values: object) -> None:
            if self.left:
                self.left -= 1
                raise AWAY
            super().extend_preparation(*args, **values)  # type: ignore[arg-type]

    job_id = bench.submit(60)
    complete(bench, job_id, 60, store=Away(bench.engine))


def test_a_database_that_is_away_at_the_end_is_no_crash(bench: Bench) -> None:
    class Gone(WorkQueue):
        def release(self, lease: Lease, reason: str | None = None) -> None:
            raise AWAY

    job_id = bench.submit(20)
    gate = Gate(bench.screener().screen)
    with running(bench.dispatcher(gate, queue=Gone(bench.engine, "gone"))):
        gate.wait_for(2)
    gate.open()
    assert "leased" in {row["state"] for row in shard_rows(bench.engine, job_id)}
    bench.clock.advance(1000)
    queue = hurried_queue(bench)
    queue._clock.advance(1000)  # type: ignore[attr-defined]
    complete(bench, job_id, 20, queue=queue, lease_s=1e6)


# -- the storage of the images


class Shop(MemoryStorage):
    """A storage that closes and opens."""

    def __init__(self, container: str) -> None:
        super().__init__(container)
        self.is_open = threading.Event()
        self.asked = threading.Event()

    def read(self, key: ImageKey, *, version_id: str | None = None, max_bytes: int | None = None) -> bytes:
        if not self.is_open.is_set():
            self.asked.set()
            raise StorageUnavailable(f"{self.container}/{key}", "503 Slow Down")
        return super().read(key, version_id=version_id, max_bytes=max_bytes)


@pytest.fixture
def shop(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A closed store beside that of the bench, each with 20 pictures."""
    monkeypatch.setattr(outage, "_LONGEST_REST_S", 0.02)
    made = Shop("s3://closed")
    for storage in (made, bench.storage):
        fill(storage, ((f"{i:06d}.png", picture(i)) for i in range(20)))
    return made


def both(bench: Bench, shop: Shop) -> OpenStorage:
    return lambda container: shop if container == shop.container else bench.storage


def test_a_job_waits_for_its_store_and_others_do_not(
    bench: Bench, shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    waits = bench.store.submit(new_job(source=f"{shop.container}/", filters=Filters()))
    other = bench.store.submit(new_job(filters=Filters()))
    stores = both(bench, shop)
    dispatcher = bench.dispatcher(bench.screener(open_storage=stores).screen, open_storage=stores, lease_s=1e6)
    with running(dispatcher):
        wait_until(lambda: bench.store.get(other).state is JobState.COMPLETED)
        assert shop.asked.wait(PATIENCE_S)
        wait_until(lambda: "is away" in caplog.text)
        wait_until(lambda: "could not be read: 503 Slow Down" in str(bench.store.waits_for(waits)))
        assert bench.store.get(waits).counts.done == 0
        shop.is_open.set()
        wait_until(lambda: bench.store.get(waits).state is JobState.COMPLETED)
    for job_id in (waits, other):
        check_completed(bench.engine, job_id, 20)
        assert bench.store.get(job_id).counts.failed == 0
        assert bench.store.waits_for(job_id) is None
        assert {row["attempt"] for row in shard_rows(bench.engine, job_id)} == {0}
    assert f"the storage of job {waits} is back" in caplog.text


def test_when_patience_is_over_the_images_fail_one_by_one(bench: Bench, shop: Shop) -> None:
    job_id = bench.store.submit(new_job(source=f"{shop.container}/", filters=Filters()))
    stores = both(bench, shop)
    bench.dispatcher(
        bench.screener(open_storage=stores).screen,
        open_storage=stores,
        queue=hurried_queue(bench),
        lease_s=1e6,
        storage_max_wait_s=0.1,
        only_job=job_id,
    ).run()
    job = bench.store.get(job_id)
    assert (job.state, job.counts.failed) == (JobState.FAILED, 20)
    assert "most often timeout (20)" in str(job.error)


# -- stopping, cancelling, two at once


def test_stopping_gives_everything_back_and_the_next_one_completes(bench: Bench) -> None:
    job_id = bench.submit(60)
    gate = Gate(bench.screener().screen)
    with running(bench.dispatcher(gate, in_flight=2)):
        gate.wait_for(2)
    rows = shard_rows(bench.engine, job_id)
    assert {row["state"] for row in rows} == {"queued"}
    assert {row["attempt"] for row in rows} == {0}
    gate.open()
    complete(bench, job_id, 60)


def test_what_is_finished_when_it_stops_is_recorded(bench: Bench) -> None:
    job_id = bench.submit(8)
    prepare(bench, job_id)
    runner = InlineRunner(bench.screener().screen)
    dispatcher = bench.dispatcher(runner=runner)
    (lease,) = bench.queue().claim(1, 60, fingerprints=[FINGERPRINT])
    runner.start(lease)
    dispatcher.stop()
    dispatcher.run()
    assert check_accounts(bench.engine, job_id).counts.done == 8


def test_stopping_interrupts_a_preparation(bench: Bench) -> None:
    listing = threading.Event()

    class Endless(MemoryStorage):
        def list_objects(self, prefix: str = "", after: ImageKey | None = None) -> Iterator[ObjectInfo]:
            while True:
                listing.set()
                yield ObjectInfo(key=ImageKey("notes.txt"))

    job_id = bench.submit(20)
    with running(bench.dispatcher(open_storage=Endless)):
        assert listing.wait(PATIENCE_S)
    assert bench.store.get(job_id).state is JobState.PREPARING
    complete(bench, job_id, 20)


def test_a_small_job_does_not_wait_until_the_listing_of_a_large_one_is_over(bench: Bench) -> None:
    listing = threading.Event()

    class Slow(MemoryStorage):
        def list_objects(self, prefix: str = "", after: ImageKey | None = None) -> Iterator[ObjectInfo]:
            while True:
                listing.set()
                yield ObjectInfo(key=ImageKey("notes.txt"))

    def open_storage(container: str) -> MemoryStorage:
        return bench.storage if container == bench.storage.container else Slow(container)

    large = bench.store.submit(new_job(source="s3://large/"))
    with running(bench.dispatcher(open_storage=open_storage)):
        assert listing.wait(PATIENCE_S)
        small = bench.submit(20)
        wait_until(lambda: bench.store.get(small).state is JobState.COMPLETED)
        assert bench.store.get(large).state is JobState.PREPARING


def test_a_cancelled_job_stops_and_keeps_what_it_has(bench: Bench) -> None:
    job_id = bench.submit(60)
    gate = Gate(bench.screener().screen)
    with running(bench.dispatcher(gate, in_flight=2)):
        gate.wait_for(2)
        assert bench.store.cancel(job_id).state is JobState.CANCELLING
        wait_until(lambda: bench.store.get(job_id).state is JobState.CANCELLED)
        gate.open()
    job = check_accounts(bench.engine, job_id)
    assert (job.state, job.counts.done) == (JobState.CANCELLED, 0)
    assert "leased" not in {row["state"] for row in shard_rows(bench.engine, job_id)}


def test_a_cancelled_job_makes_room_for_the_next(bench: Bench) -> None:
    first = bench.submit(60)
    gate = Gate(bench.screener().screen)
    with running(bench.dispatcher(runner=ThreadRunner(gate, threads=4), in_flight=2)):
        gate.wait_for(2)
        second = bench.submit(60)
        bench.store.cancel(first)
        gate.wait_for(1)  # of the second job, while the first one's threads still hang
        gate.open()
        wait_until(lambda: bench.store.get(second).state is JobState.COMPLETED)
    check_completed(bench.engine, second, 60)


def test_two_dispatchers_on_one_database(bench: Bench) -> None:
    jobs = [bench.submit(80) for _ in range(3)]
    screened: Counter[str] = Counter()
    screen = bench.screener().screen
    started = {"one": threading.Event(), "two": threading.Event()}

    def counted(name: str) -> Callable[[Lease], list[Verdict]]:
        def run(lease: Lease) -> list[Verdict]:
            screened[name] += 1
            started[name].set()
            # held until the other has a shard too: a quick one could do all of it before the other looks
            assert all(each.wait(PATIENCE_S) for each in started.values())
            return screen(lease)

        return run

    both = [bench.dispatcher(counted(name), queue=bench.queue(name)) for name in ("one", "two")]
    with running(both[0]), running(both[1]):
        wait_until(lambda: all(bench.store.get(job).state is JobState.COMPLETED for job in jobs))
    for job_id in jobs:
        check_completed(bench.engine, job_id, 80)
    shards = sum(len(shard_rows(bench.engine, job)) for job in jobs)
    assert sum(screened.values()) == shards  # nothing was done twice
    assert set(screened) == {"one", "two"}
