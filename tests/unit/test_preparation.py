"""Freezing a corpus: once, in flat memory, and never without an end."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import islice, pairwise

import pytest
from builders import CONTAINER, Bench, fill, new_job, shard_images, shard_rows
from sqlalchemy.exc import OperationalError

from jobs.domain import Filters, ImageKey, JobId, JobOptions, ObjectInfo
from jobs.errors import AccessDenied, ContainerNotFound, StorageUnavailable
from jobs.preparation import preparer as preparer_module
from jobs.preparation.preparer import Preparer
from jobs.preparation.shard_plan import FIRST_SHARD, shard_sizes
from jobs.states import JobState
from jobs.storage import MemoryStorage
from jobs.store.job_store import JobStore
from jobs.store.preparation_leases import Preparation


class Scripted(MemoryStorage):
    """Does something before it gives out the object of a number."""

    def __init__(self, count: int, at: int = -1, action: Callable[[], None] = lambda: None) -> None:
        super().__init__(CONTAINER)
        self._count = count
        self._at = at
        self._action = action

    def list_objects(self, prefix: str = "", after: ImageKey | None = None) -> Iterator[ObjectInfo]:
        for i in range(self._count):
            if i == self._at:
                self._action()
            info = ObjectInfo(key=ImageKey(f"{i:06d}.jpg"), size=1)
            if after is None or info.key > after:
                yield info


def run(bench: Bench, storage: MemoryStorage, *, stop: threading.Event | None = None, **fields: object) -> JobId:
    """Submit and prepare a job; a store that is away is not waited for."""
    job_id = bench.store.submit(new_job(**fields))
    preparer = Preparer(bench.store, lambda container: storage, store_patience_s=0.0)
    preparer.run(taken(bench.store), stop or threading.Event())
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
    with pytest.raises(
        AssertionError, match=f"no images found in 's3://photos/'{others}; looked for names ending with .jpg.*--suffix"
    ):
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


def test_a_store_that_is_away_is_waited_for_and_the_listing_goes_on_where_it_was(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[Exception] = [StorageUnavailable(CONTAINER, "slow down")] * 3

    def away() -> None:
        if errors:
            raise errors.pop()

    storage = Scripted(200, 150, away)
    preparer = Preparer(bench.store, lambda container: storage, store_patience_s=1000.0)
    job_id = bench.store.submit(new_job())
    for _ in range(3):
        preparer.run(taken(bench.store), threading.Event())
        waiting = bench.store.get(job_id)
        assert (waiting.state, waiting.error) == (JobState.PREPARING, None)
        assert "slow down" in str(waiting.preparation_error)
        assert 0 < waiting.counts.total <= 150
        assert bench.store.claim_preparation(60) is None  # it rests
        bench.clock.advance(31)
    preparer.run(taken(bench.store), threading.Event())
    ready = bench.store.get(job_id)
    assert (ready.state, ready.preparation_error, ready.counts.total) == (JobState.READY, None, 200)
    found = [image.key for row in shard_rows(bench.engine, job_id) for image in shard_images(bench.engine, row)]
    assert found == [f"{i:06d}.jpg" for i in range(200)]
    assert caplog.text.count(f"the store of job {job_id} is away") == 1
    assert caplog.text.count(f"the store of job {job_id} is back") == 1


def bad_list() -> MemoryStorage:
    """40 images, and three lines that name none: 12, 22 and the last."""
    storage = MemoryStorage(CONTAINER)
    lines = ["key,size", *(f"{i:02d}.jpg,1" for i in range(40)), ",5"]
    lines[11], lines[21] = "x.jpg,many", "y.jpg,-1"
    fill(storage, [("list.csv", "\n".join(lines).encode())])
    return storage


def test_bad_lines_fail_the_job_and_all_of_them_are_told(bench: Bench) -> None:
    job_id = run(bench, bad_list(), source=f"{CONTAINER}/list.csv")
    job = bench.store.get(job_id)
    assert job.state is JobState.FAILED
    assert job.error == (
        "3 lines name no image in s3://photos/list.csv, line 12: the size 'many' is no whole number of bytes, "
        "line 22: the size '-1' is no whole number of bytes, line 42: there is no key in it. See them with "
        f"'nclscreen job {job_id} --problems'; mend the list, or go on without them with --skip-bad-lines"
    )
    assert [problem.line for problem in bench.store.problems(job_id)] == [12, 22, 42]
    assert job.found.bad_lines == 3


def test_bad_lines_may_be_left_out(bench: Bench) -> None:
    job_id = run(bench, bad_list(), source=f"{CONTAINER}/list.csv", options=JobOptions(skip_bad_lines=True))
    job = bench.store.get(job_id)
    assert (job.state, job.counts.total, job.found.bad_lines) == (JobState.READY, 38, 3)
    assert (job.found.seen, job.found.bytes, job.found.unsized) == (41, 38, 0)
    assert [problem.line for problem in bench.store.problems(job_id)] == [12, 22, 42]


def test_of_many_bad_lines_the_first_are_kept_and_all_are_counted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparer_module, "PROBLEMS_KEPT", 5)
    storage = MemoryStorage(CONTAINER)
    fill(storage, [("list.csv", b"key,size\n" + b"a.jpg,x\n" * 90)])
    job_id = run(bench, storage, source=f"{CONTAINER}/list.csv")
    assert bench.store.get(job_id).found.bad_lines == 90
    assert [problem.line for problem in bench.store.problems(job_id)] == [2, 3, 4, 5, 6]
    assert "90 lines name no image" in str(bench.store.get(job_id).error)
    assert "line 4: the size 'x' is no whole number of bytes, ..." in str(bench.store.get(job_id).error)


def test_a_killed_preparer_s_shards_are_kept_and_the_next_one_goes_on(bench: Bench) -> None:
    asked: list[object] = []

    class Told(Scripted):
        def list_objects(self, prefix: str = "", after: ImageKey | None = None) -> Iterator[ObjectInfo]:
            asked.append(after)
            return super().list_objects(prefix, after)

    killed = OperationalError("SELECT 1", {}, Exception("killed"))
    with pytest.raises(OperationalError):
        run(bench, Told(300, 150, raising(killed)))
    job_id = bench.store.latest()[0].id
    before = shard_rows(bench.engine, job_id)
    assert bench.store.get(job_id).found.seen == 144
    bench.clock.advance(61)

    Preparer(bench.store, lambda container: Told(300)).run(taken(bench.store), threading.Event())

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
                    raise OperationalError("SELECT 1", {}, Exception("killed"))
                yield line

    storage = Stopping(CONTAINER)
    lines = ["key,size", "bad,x", *(f"{i % 150:03d}.jpg,1" for i in range(200))]
    fill(storage, [("list.csv", "\n".join(lines).encode())])
    with pytest.raises(OperationalError):
        run(bench, storage, source=f"{CONTAINER}/list.csv", options=JobOptions(skip_bad_lines=True))
    job_id = bench.store.latest()[0].id
    assert 0 < bench.store.get(job_id).counts.total < 98
    if changed:
        fill(storage, [("list.csv", "\n".join(["key", *(f"new-{i}.jpg" for i in range(20))]).encode())])
    storage.stop_at = 1000
    bench.clock.advance(61)

    Preparer(bench.store, lambda container: storage).run(taken(bench.store), threading.Event())

    job = bench.store.get(job_id)
    found = [image.key for row in shard_rows(bench.engine, job_id) for image in shard_images(bench.engine, row)]
    assert found == [f"new-{i}.jpg" for i in range(20)] if changed else [f"{i:03d}.jpg" for i in range(150)]
    assert (job.counts.total, job.ignored, job.found.bad_lines) == ((20, 0, 0) if changed else (150, 50, 1))
    assert (job.found.bytes, job.found.unsized) == ((0, 20) if changed else (150, 0))


def test_a_sample_is_prepared_anew(bench: Bench) -> None:
    filters = Filters(sample=30, sample_seed=7)
    with pytest.raises(OperationalError):
        run(bench, Scripted(200, 150, raising(OperationalError("", {}, Exception()))), filters=filters)
    bench.clock.advance(61)
    Preparer(bench.store, lambda container: Scripted(200)).run(taken(bench.store), threading.Event())
    job = bench.store.latest()[0]
    assert (job.state, job.counts.total, job.ignored, job.found.seen) == (JobState.READY, 30, 170, 200)


def test_a_job_that_is_to_be_confirmed_waits_with_what_was_found(bench: Bench) -> None:
    job = bench.store.get(run(bench, Scripted(20), options=JobOptions(confirm=True)))
    assert (job.state, job.counts.total, job.found.bytes) == (JobState.AWAITING_CONFIRMATION, 20, 20)


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
    assert (job.state, job.counts.total, job.error) == (JobState.PREPARING, 2 * FIRST_SHARD, None)
    assert successors[0].job.counts.total == 2 * FIRST_SHARD
    bench.store.finish_preparation(successors[0], ignored=0)


def test_a_job_cancelled_meanwhile_stays_cancelled(bench: Bench) -> None:
    storage = Scripted(200, 20, lambda: bench.store.cancel(bench.store.latest()[0].id) and None)
    assert bench.store.get(run(bench, storage)).state is JobState.CANCELLED


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

    job_id = run(bench, Documents(CONTAINER))
    assert seen == [None] * 5
    assert bench.store.get(job_id).state is JobState.FAILED


def test_memory_stays_flat_however_long_the_list(bench: Bench) -> None:
    class Lines(MemoryStorage):
        count = 0

        def stat(self, key: ImageKey) -> ObjectInfo:
            return ObjectInfo(key=key, etag=str(self.count))

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
