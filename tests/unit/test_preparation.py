"""Freezing a corpus: once, in flat memory, and never without an end."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

import pytest
from support.builders import CONTAINER, Bench, fill, shard_rows
from support.preparing import Scripted, prepared, raising

from jobs.domain import Filters, ImageKey, JobOptions, ObjectInfo
from jobs.domain.states import JobState
from jobs.errors import AccessDenied, ContainerNotFound, StorageUnavailable
from jobs.preparation import preparer as preparer_module
from jobs.preparation.shard_plan import FIRST_SHARD
from jobs.testing import MemoryStorage


def test_a_corpus_becomes_shards(bench: Bench) -> None:
    storage = Scripted(200)
    job_id = prepared(bench, storage)
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
    job = bench.store.get(prepared(bench, storage))
    assert (job.counts.total, job.ignored) == (2, 3)


@pytest.mark.parametrize(("files", "others"), [([], ""), (["a.txt", "b.pdf"], r" \(2 other files were ignored\)")])
def test_an_empty_corpus_fails_the_job_with_a_hint(bench: Bench, files: list[str], others: str) -> None:
    storage = MemoryStorage(CONTAINER)
    fill(storage, [(name, b"x") for name in files])
    job = bench.store.get(prepared(bench, storage, filters=Filters(suffixes=(".jpg",))))
    assert job.state is JobState.FAILED
    assert job.error is not None
    with pytest.raises(
        AssertionError,
        match=f"no images found in 's3://photos/'{others}; looked for names ending with .jpg.*endings",
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
    job = bench.store.get(prepared(bench, Scripted(200, at, raising(error))))
    assert (job.state, job.error) == (JobState.FAILED, str(error))


def bad_list() -> MemoryStorage:
    """40 images, and three lines that name none: 12, 22 and the last."""
    storage = MemoryStorage(CONTAINER)
    lines = ["key,size", *(f"{i:02d}.jpg,1" for i in range(40)), ",5"]
    lines[11], lines[21] = "x.jpg,many", "y.jpg,-1"
    fill(storage, [("list.csv", "\n".join(lines).encode())])
    return storage


def test_bad_lines_fail_the_job_and_all_of_them_are_told(bench: Bench) -> None:
    job_id = prepared(bench, bad_list(), source=f"{CONTAINER}/list.csv")
    job = bench.store.get(job_id)
    assert job.state is JobState.FAILED
    assert job.error == (
        "3 lines name no image in s3://photos/list.csv, line 12: the size 'many' is no whole number of bytes, "
        "line 22: the size '-1' is no whole number of bytes, line 42: there is no key in it. They are kept with the "
        "job; mend the list, or submit it again and have bad lines skipped"
    )
    assert [problem.line for problem in bench.store.problems(job_id)] == [12, 22, 42]
    assert job.found.bad_lines == 3


def test_bad_lines_may_be_left_out(bench: Bench) -> None:
    job_id = prepared(bench, bad_list(), source=f"{CONTAINER}/list.csv", options=JobOptions(skip_bad_lines=True))
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
    job_id = prepared(bench, storage, source=f"{CONTAINER}/list.csv")
    assert bench.store.get(job_id).found.bad_lines == 90
    assert [problem.line for problem in bench.store.problems(job_id)] == [2, 3, 4, 5, 6]
    assert "90 lines name no image" in str(bench.store.get(job_id).error)
    assert "line 4: the size 'x' is no whole number of bytes, ..." in str(bench.store.get(job_id).error)


def test_a_job_that_is_to_be_confirmed_waits_with_what_was_found(bench: Bench) -> None:
    job = bench.store.get(prepared(bench, Scripted(20), options=JobOptions(confirm=True)))
    assert (job.state, job.counts.total, job.found.bytes) == (JobState.AWAITING_CONFIRMATION, 20, 20)


def test_a_source_that_cannot_be_understood_fails_the_job(bench: Bench) -> None:
    job = bench.store.get(prepared(bench, MemoryStorage(CONTAINER), source="ftp://x"))
    assert job.state is JobState.FAILED
    assert "ftp:// is not supported" in str(job.error)


def test_a_surprise_fails_the_job_instead_of_coming_again_for_ever(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    job = bench.store.get(prepared(bench, Scripted(200, 150, raising(ZeroDivisionError("odd")))))
    assert (job.state, job.error) == (JobState.FAILED, "preparing it broke off: ZeroDivisionError: odd")
    assert "ZeroDivisionError" in caplog.text


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
            job_id = prepared(bench, storage, source=f"{CONTAINER}/list.csv")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert bench.store.get(job_id).counts.total == count
        return peak

    peak_bytes(100)  # what is cached once
    assert peak_bytes(30_000) < 1.5 * peak_bytes(5000)  # from where on the shards have their full size
