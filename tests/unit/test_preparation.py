"""Freezing a corpus: once, in flat memory, and never without an end."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from builders import CONTAINER, Bench, fill, new_job, shard_rows
from sqlalchemy.exc import OperationalError

from jobs import preparation as preparation_module
from jobs.domain import Filters, ImageKey, JobId, ObjectInfo
from jobs.errors import AccessDenied, ContainerNotFound, StorageUnavailable
from jobs.job_store import JobStore
from jobs.preparation import Preparer
from jobs.preparations import Preparation
from jobs.shard_plan import FIRST_SHARD
from jobs.states import JobState
from jobs.storage import MemoryStorage


class Scripted(MemoryStorage):
    """Does something before it gives out the object of a number."""

    def __init__(self, count: int, at: int = -1, action: Callable[[], None] = lambda: None) -> None:
        super().__init__(CONTAINER)
        self._count = count
        self._at = at
        self._action = action

    def list_objects(self, prefix: str = "") -> Iterator[ObjectInfo]:
        for i in range(self._count):
            if i == self._at:
                self._action()
            yield ObjectInfo(key=ImageKey(f"{i:06d}.jpg"), size=1)


def run(bench: Bench, storage: MemoryStorage, *, stop: threading.Event | None = None, **fields: object) -> JobId:
    job_id = bench.store.submit(new_job(**fields))
    Preparer(bench.store, lambda container: storage).run(taken(bench.store), stop or threading.Event())
    return job_id


def taken(store: JobStore) -> Preparation:
    preparation = store.claim_preparation(60)
    assert preparation is not None
    return preparation


def test_a_corpus_becomes_shards(bench: Bench) -> None:
    storage = Scripted(200)
    job_id = run(bench, storage)
    job = bench.store.get(job_id)
    assert (job.state, job.counts.total, job.ignored) == (JobState.READY, 200, 0)
    rows = shard_rows(bench.engine, job_id)
    ends = [(row["first_ordinal"], row["first_ordinal"] + row["image_count"]) for row in rows]  # type: ignore[operator]
    assert ends[0] == (0, FIRST_SHARD)
    assert ends[-1][1] == 200
    assert all(before[1] == after[0] for before, after in pairwise(ends))


def test_what_the_filters_leave_out_is_counted_also_behind_the_last_shard(bench: Bench) -> None:
    storage = MemoryStorage(CONTAINER)
    fill(storage, [("a.jpg", b"x"), ("b.txt", b"x"), ("c.jpg", b"x"), ("d.txt", b"x"), ("e.txt", b"x")])
    job = bench.store.get(run(bench, storage))
    assert (job.counts.total, job.ignored) == (2, 3)


@pytest.mark.parametrize(("files", "others"), [([], ""), (["a.txt", "b.pdf"], r" \(2 other files were ignored\)")])
def test_an_empty_corpus_fails_the_job_with_a_hint(bench: Bench, files: list[str], others: str) -> None:
    storage = MemoryStorage(CONTAINER)
    fill(storage, [(name, b"x") for name in files])
    job = bench.store.get(run(bench, storage, filters=Filters(suffixes=(".jpg",))))
    assert job.state is JobState.FAILED
    assert job.error is not None
    with pytest.raises(AssertionError, match=f"no images found in 's3://photos/'{others}; looked for .jpg.*--suffix"):
        raise AssertionError(job.error)


@pytest.mark.parametrize(
    "error",
    [
        AccessDenied(CONTAINER, "no"),
        ContainerNotFound(CONTAINER, "there is no such bucket"),
        StorageUnavailable(CONTAINER, "slow down"),
    ],
)
@pytest.mark.parametrize("at", [0, 150])
def test_a_corpus_that_cannot_be_read_fails_the_job(bench: Bench, error: Exception, at: int) -> None:
    job = bench.store.get(run(bench, Scripted(200, at, raising(error))))
    assert (job.state, job.error) == (JobState.FAILED, str(error))


def test_a_bad_line_in_a_list_fails_the_job_and_names_the_line(bench: Bench) -> None:
    storage = MemoryStorage(CONTAINER)
    fill(storage, [("list.csv", b"key,size\n" + b"a.jpg,1\n" * 50 + b"b.jpg,x\n")])
    job = bench.store.get(run(bench, storage, source=f"{CONTAINER}/list.csv"))
    assert job.state is JobState.FAILED
    assert "list.csv, line 52: the size 'x'" in str(job.error)


def test_a_source_that_cannot_be_understood_fails_the_job(bench: Bench) -> None:
    job = bench.store.get(run(bench, MemoryStorage(CONTAINER), source="ftp://x"))
    assert job.state is JobState.FAILED
    assert "ftp:// is not supported" in str(job.error)


def test_a_surprise_fails_the_job_instead_of_coming_again_for_ever(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    job = bench.store.get(run(bench, Scripted(200, 150, raising(ZeroDivisionError("odd")))))
    assert (job.state, job.error) == (JobState.FAILED, "preparing it broke off: ZeroDivisionError: odd")
    assert "ZeroDivisionError" in caplog.text


def test_a_database_that_is_away_is_left_to_the_dispatcher(bench: Bench) -> None:
    away = OperationalError("SELECT 1", {}, Exception("gone"))
    with pytest.raises(OperationalError):
        run(bench, Scripted(200, 150, raising(away)))
    assert bench.store.latest()[0].state is JobState.PREPARING


def test_an_interrupted_preparation_waits_for_the_next_preparer(bench: Bench) -> None:
    stop = threading.Event()
    job_id = run(bench, Scripted(200, 150, stop.set), stop=stop)
    assert bench.store.get(job_id).state is JobState.PREPARING
    Preparer(bench.store, lambda container: Scripted(200)).run(taken(bench.store), threading.Event())
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

    job_id = run(bench, Scripted(200, 20, replaced), stop=stop)
    job = bench.store.get(job_id)
    assert (job.state, job.counts.total, job.error) == (JobState.PREPARING, 0, None)
    bench.store.finish_preparation(successors[0], ignored=0)


def test_a_job_cancelled_meanwhile_stays_cancelled(bench: Bench) -> None:
    storage = Scripted(200, 20, lambda: bench.store.cancel(bench.store.latest()[0].id) and None)
    assert bench.store.get(run(bench, storage)).state is JobState.CANCELLED


def test_a_long_listing_without_images_shows_that_the_preparer_lives(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation_module, "_BEAT_S", 0.0)
    seen: list[object] = []

    class Documents(MemoryStorage):
        def list_objects(self, prefix: str = "") -> Iterator[ObjectInfo]:
            for i in range(5):
                bench.clock.advance(50)  # all of it takes four times as long as the lease
                yield ObjectInfo(key=ImageKey(f"{i}.txt"))
                seen.append(bench.store.claim_preparation(60))

    job_id = run(bench, Documents(CONTAINER))
    assert seen == [None] * 5
    assert bench.store.get(job_id).state is JobState.FAILED


def test_memory_stays_flat_however_long_the_list(bench: Bench) -> None:
    class Lines(MemoryStorage):
        count = 0

        def open_lines(self, key: ImageKey) -> Iterator[bytes]:
            yield b"key\n"
            for i in range(self.count):
                yield b"a/folder/of/some/length/%08d.jpg\n" % i

    def peak_bytes(count: int) -> int:
        storage = Lines(CONTAINER)
        storage.count = count
        tracemalloc.start()
        try:
            job_id = run(bench, storage, source=f"{CONTAINER}/list.csv")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert bench.store.get(job_id).counts.total == count
        return peak

    peak_bytes(100)  # what is cached once
    assert peak_bytes(30_000) < 1.5 * peak_bytes(5000)  # from where on the shards have their full size


def raising(error: Exception) -> Callable[[], None]:
    def action() -> None:
        raise error

    return action
