"""Preparing that is broken off, replaced or has to wait: what was frozen is kept, and nothing is numbered twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import islice

import pytest
from support.builders import CONTAINER, Bench, fill, new_job, shard_images, shard_rows
from support.preparing import Scripted, prepare_one, prepared, raising, taken

from jobs.domain import Filters, ImageKey, JobOptions, ObjectInfo, WorkKind
from jobs.domain.states import JobState
from jobs.errors import AccessDenied, StorageUnavailable
from jobs.lifecycle.preparation_leases import Preparation
from jobs.preparation import preparer as preparer_module
from jobs.preparation.preparer import Preparer
from jobs.preparation.shard_plan import FIRST_SHARD, shard_sizes
from jobs.sql.errors import DatabaseAway
from jobs.testing import MemoryStorage


class Killed(BaseException):
    """Nothing of the preparer runs after this."""


def test_a_store_that_is_away_is_waited_for_and_the_listing_goes_on_where_it_was(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[Exception] = [StorageUnavailable(CONTAINER, "slow down")] * 3

    def away() -> None:
        if errors:
            raise errors.pop()

    storage = Scripted(200, 150, away)
    preparer = Preparer(bench.store, lambda container: storage, storage_max_wait_s=1000.0)
    job_id = bench.store.submit(new_job())
    for _ in range(3):
        prepare_one(bench.store, preparer)
        waiting = bench.store.get(job_id)
        assert (waiting.state, waiting.error) == (JobState.PREPARING, None)
        assert "slow down" in str(waiting.preparation_error)
        assert 0 < waiting.counts.total <= 150
        assert bench.store.claim_preparation(60) is None  # it rests
        bench.clock.advance(31)
    prepare_one(bench.store, preparer)
    ready = bench.store.get(job_id)
    assert (ready.state, ready.preparation_error, ready.counts.total) == (JobState.READY, None, 200)
    found = [image.key for row in shard_rows(bench.engine, job_id) for image in shard_images(bench.engine, row)]
    assert found == [f"{i:06d}.jpg" for i in range(200)]
    assert caplog.text.count(f"the storage of job {job_id} is away") == 1
    assert caplog.text.count(f"the storage of job {job_id} is back") == 1


def test_a_killed_preparer_s_shards_are_kept_and_the_next_one_goes_on(bench: Bench) -> None:
    asked: list[object] = []

    class Told(Scripted):
        def list_objects(self, prefix: str = "", after: ImageKey | None = None) -> Iterator[ObjectInfo]:
            asked.append(after)
            return super().list_objects(prefix, after)

    with pytest.raises(Killed):
        prepared(bench, Told(300, 150, raising(Killed())))
    job_id = bench.store.latest()[0].id
    before = shard_rows(bench.engine, job_id)
    assert bench.store.get(job_id).found.seen == 144
    bench.clock.advance(61)

    prepare_one(bench.store, Preparer(bench.store, lambda container: Told(300)))

    assert asked == [None, "000143.jpg"]
    rows = shard_rows(bench.engine, job_id)
    assert rows[: len(before)] == before
    found = [image.key for row in rows for image in shard_images(bench.engine, row)]
    assert found == [f"{i:06d}.jpg" for i in range(300)]
    sizes = [row["image_count"] for row in rows]
    assert sizes[:-1] == list(islice(shard_sizes(), len(sizes) - 1))
    job = bench.store.get(job_id)
    assert (job.counts.total, job.found.seen, job.found.bytes) == (300, 300, 300)


@pytest.mark.parametrize("changed", [False, True])
def test_a_list_is_gone_on_with_only_while_it_is_the_same(bench: Bench, changed: bool) -> None:
    class Stopping(MemoryStorage):
        stop_at = 100

        def open_lines(self, key: ImageKey) -> Iterator[bytes]:
            for number, line in enumerate(super().open_lines(key)):
                if number == self.stop_at:
                    raise Killed
                yield line

    storage = Stopping(CONTAINER)
    lines = ["key,size", "bad,x", *(f"{i % 150:03d}.jpg,1" for i in range(200))]
    fill(storage, [("list.csv", "\n".join(lines).encode())])
    with pytest.raises(Killed):
        prepared(bench, storage, source=f"{CONTAINER}/list.csv", options=JobOptions(skip_bad_lines=True))
    job_id = bench.store.latest()[0].id
    assert 0 < bench.store.get(job_id).counts.total < 98
    if changed:
        fill(storage, [("list.csv", "\n".join(["key", *(f"new-{i}.jpg" for i in range(20))]).encode())])
    storage.stop_at = 1000
    bench.clock.advance(61)

    prepare_one(bench.store, Preparer(bench.store, lambda container: storage))

    job = bench.store.get(job_id)
    found = [image.key for row in shard_rows(bench.engine, job_id) for image in shard_images(bench.engine, row)]
    assert found == [f"new-{i}.jpg" for i in range(20)] if changed else [f"{i:03d}.jpg" for i in range(150)]
    assert (job.counts.total, job.ignored, job.found.bad_lines) == ((20, 0, 0) if changed else (150, 50, 1))
    assert (job.found.bytes, job.found.unsized) == ((0, 20) if changed else (150, 0))


def test_a_sample_is_prepared_anew(bench: Bench) -> None:
    filters = Filters(sample=30, sample_seed=7)
    with pytest.raises(Killed):
        prepared(bench, Scripted(200, 150, raising(Killed())), filters=filters)
    bench.clock.advance(61)
    prepare_one(bench.store, Preparer(bench.store, lambda container: Scripted(200)))
    job = bench.store.latest()[0]
    assert (job.state, job.counts.total, job.ignored, job.found.seen) == (JobState.READY, 30, 170, 200)


def test_a_database_that_was_away_costs_nothing_and_the_next_one_goes_on(bench: Bench) -> None:
    away = DatabaseAway("SELECT 1", {}, Exception("gone"))
    job_id = prepared(bench, Scripted(200, 150, raising(away)))
    assert bench.store.get(job_id).state is JobState.PREPARING
    (work,) = bench.store.work.claim(WorkKind.PREPARATION, 1, 60)
    assert (work.attempt, work.vanished) == (1, 0)


def test_an_interrupted_preparation_waits_for_the_next_preparer(bench: Bench) -> None:
    stop = threading.Event()
    job_id = prepared(bench, Scripted(200, 150, stop.set), stop=stop)
    assert bench.store.get(job_id).state is JobState.PREPARING
    prepare_one(bench.store, Preparer(bench.store, lambda container: Scripted(200)))
    assert (bench.store.get(job_id).state, bench.store.get(job_id).counts.total) == (JobState.READY, 200)
    assert sum(int(str(row["image_count"])) for row in shard_rows(bench.engine, job_id)) == 200


@pytest.mark.parametrize("then", ["goes on", "is interrupted", "meets an error", "meets a surprise"])
def test_a_preparer_that_was_replaced_does_no_harm(bench: Bench, then: str) -> None:
    """Whatever the late one does next: the job is the other one's."""
    stop = threading.Event()
    successors: list[Preparation] = []

    def replaced() -> None:
        bench.clock.advance(1000)
        successors.append(taken(bench.store))
        if then == "is interrupted":
            stop.set()
        elif then == "meets an error":
            raise AccessDenied(CONTAINER, "no")
        elif then == "meets a surprise":
            raise ZeroDivisionError

    job_id = prepared(bench, Scripted(200, 20, replaced), stop=stop)
    job = bench.store.get(job_id)
    assert (job.state, job.counts.total, job.error) == (JobState.PREPARING, 2 * FIRST_SHARD, None)
    assert successors[0].job.counts.total == 2 * FIRST_SHARD
    bench.store.finish_preparation(successors[0], ignored=0)


def test_a_job_cancelled_meanwhile_stays_cancelled(bench: Bench) -> None:
    storage = Scripted(200, 20, lambda: bench.store.cancel(bench.store.latest()[0].id) and None)
    assert bench.store.get(prepared(bench, storage)).state is JobState.CANCELLED


def test_a_long_listing_without_images_shows_that_the_preparer_lives(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparer_module, "_BEAT_S", 0.0)
    seen: list[object] = []

    class Documents(MemoryStorage):
        def list_objects(self, prefix: str = "", after: ImageKey | None = None) -> Iterator[ObjectInfo]:
            for i in range(5):
                bench.clock.advance(50)  # all of it takes four times as long as the lease
                yield ObjectInfo(key=ImageKey(f"{i}.txt"))
                seen.append(bench.store.claim_preparation(60))

    job_id = prepared(bench, Documents(CONTAINER))
    assert seen == [None] * 5
    assert bench.store.get(job_id).state is JobState.FAILED
