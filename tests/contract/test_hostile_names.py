"""Names that others chose, and a disk that is full, cost no job its end."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable, Iterator

import pytest
from support.builders import Bench, check_completed, fill, new_job, picture
from support.preparing import prepare_one, prepared

from jobs.domain import ImageKey, ImageRef, JobId, ObjectInfo
from jobs.preparation import corpus as corpus_module
from jobs.preparation.preparer import Preparer
from jobs.preparation.seen_keys import SeenKeys
from jobs.testing import MemoryStorage
from jobs.verdicts import VerdictStore


@pytest.mark.parametrize("name", ["a\x00b.png", "c\ud800d.png"], ids=ascii)
def test_a_key_that_no_database_keeps_costs_itself_alone(bench: Bench, name: str) -> None:
    """Found 9: with NUL in one key of a listing, the whole job failed on PostgreSQL."""
    fill(bench.storage, [(name, picture(1)), ("fine.png", picture(2)), ("zz.png", picture(3))])
    job_id = bench.store.submit(new_job())
    bench.dispatcher(only_job=job_id).run()
    check_completed(bench.engine, job_id, 3)
    found = {each.verdict.key: each.verdict.error_code for each in VerdictStore(bench.engine).of_job(job_id)}
    assert sorted(found.values(), key=str) == [None, None, "not_found"]
    assert found["fine.png"] is None


class Full(MemoryStorage):
    """Lists a few images, for which some temporary space is needed."""

    def __init__(self, raised: Callable[[], Exception]) -> None:
        super().__init__("s3://photos")
        self.raised: Callable[[], Exception] | None = raised

    def list_objects(self, prefix: str = "", after: ImageKey | None = None) -> Iterator[ObjectInfo]:
        if self.raised is not None:
            raise self.raised()
        yield from super().list_objects(prefix, after)


def full_sqlite() -> Exception:
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA max_page_count = 2")
    connection.execute("CREATE TABLE t (x)")
    try:
        connection.execute("INSERT INTO t VALUES (zeroblob(1000000))")
    except sqlite3.OperationalError as error:
        return error
    finally:
        connection.close()
    raise AssertionError("there was room")


@pytest.mark.parametrize(
    "raised",
    [
        lambda: OSError(errno.ENOSPC, "No space left on device"),
        lambda: FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"),
        full_sqlite,
    ],
)
def test_a_full_temporary_folder_is_waited_for(bench: Bench, raised: Callable[[], Exception]) -> None:
    """Found 9: it failed the job for good."""
    storage = Full(raised)
    fill(storage, [("a.png", picture(1))])
    preparer = Preparer(bench.store, lambda container: storage)
    job_id = bench.store.submit(new_job())
    prepare_one(bench.store, preparer)
    job = bench.store.get(job_id)
    assert job.state == "preparing"
    assert "temporary files cannot be written" in (job.preparation_error or "")
    storage.raised = None
    bench.clock.advance(60)
    prepare_one(bench.store, preparer)
    assert bench.store.get(job_id).state == "ready"


def test_other_errors_fail_the_job_as_before(bench: Bench) -> None:
    job_id = prepared(bench, Full(lambda: OSError(errno.EINVAL, "a bug")))
    assert bench.store.get(job_id).state == "failed"


def test_a_list_whose_names_do_not_fit_on_the_disk(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class FullKeys(SeenKeys):
        def add(self, entry: ImageRef) -> bool:
            raise full_sqlite()

    monkeypatch.setattr(corpus_module, "SeenKeys", FullKeys)
    fill(bench.storage, [("list.csv", b"key\na.png\n")])
    job_id: JobId = bench.store.submit(new_job(source="s3://photos/list.csv"))
    prepare_one(bench.store, Preparer(bench.store, bench.open))
    assert bench.store.get(job_id).state == "preparing"
