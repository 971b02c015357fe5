"""The completion report: there before the job is completed, whole, the same however often it is written."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from builders import Bench, entries, entry, ready_job, results_of, unreadable
from queueing import claim
from reporting import read_report
from servers.s3_server import S3Bucket

from jobs.completion_report import REPORT_LEASE_S, ReportWriter
from jobs.domain import FailureThreshold, ImageKey, ImageRef, Job, JobId, JobOptions
from jobs.errors import AccessDenied, ErrorCode, StorageUnavailable
from jobs.report_queue import FIRST_PAUSE_S, MAX_REPORT_ATTEMPTS, ReportQueue
from jobs.states import JobState
from jobs.storage import MemoryStorage, S3Options, open_storage
from jobs.verdicts import VerdictStore

STORE = "s3://reports"
OPTIONS = JobOptions(report=f"{STORE}/weekly/", failure_threshold=FailureThreshold(ratio=1))
ODD = ["a b,c\"'\n=1.png", "é/写真 😀+%.png", "-2+3.png", "x" * 900 + ".png"]


class Shelf(MemoryStorage):
    """The store of the reports; `before` is called before each write and may raise."""

    before: Callable[[str], None] = staticmethod(lambda key: None)

    def write(self, key: ImageKey, data: bytes, *, content_type: str) -> str:
        self.before(key)
        return super().write(key, data, content_type=content_type)


class Desk:
    """A bench with writers of reports."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.shelf = Shelf(STORE)
        self.stop = threading.Event()

    def writer(self, only: JobId | None = None, part_bytes: int = 10_000) -> ReportWriter:
        return ReportWriter(
            store=self.bench.store,
            queue=ReportQueue(self.bench.engine, self.bench.clock),
            verdicts=VerdictStore(self.bench.engine),
            open_storage=lambda container: self.shelf,
            only=only,
            part_bytes=part_bytes,
        )

    def step(self, only: JobId | None = None) -> bool:
        return self.writer(only).step(self.stop)

    def objects(self) -> dict[str, bytes]:
        return {info.key: self.shelf.read(info.key) for info in self.shelf.list_objects()}

    def finish_shards(self, images: list[ImageRef], *, failed: int = 0) -> JobId:
        """A job whose shards are all done; the first images of it failed."""
        job_id = ready_job(self.bench.engine, images, options=OPTIONS)
        for lease in claim(self.bench.queue(), 1000, job_id=job_id):
            results = results_of(lease)
            for i, verdict in enumerate(results):
                if verdict.ordinal < failed:
                    results[i] = unreadable(verdict.ordinal, lease.entries[i], ErrorCode.NOT_FOUND, "=gone, says S3")
            self.bench.queue().finish(lease, results)
        return job_id


@pytest.fixture
def desk(bench: Bench) -> Desk:
    return Desk(bench)


def test_a_job_is_completed_when_its_report_is_there(desk: Desk) -> None:
    job_id = desk.finish_shards([entry(key) for key in ODD] + entries(8), failed=5)
    waiting = desk.bench.store.get(job_id)
    assert (waiting.state, waiting.report_due, waiting.report_uri) == (JobState.COMPLETING, True, None)
    assert desk.bench.store.completing() == []
    assert desk.writer().pending(job_id)
    assert desk.step()
    assert not desk.step()
    job = desk.bench.store.get(job_id)
    uri = f"{STORE}/weekly/job-{job_id}/manifest.json"
    assert (job.state, job.report_due, job.report_uri, job.report_error) == (JobState.COMPLETED, False, uri, None)

    report = read_report(desk.shelf, uri.removeprefix(f"{STORE}/"))
    assert report.manifest["Format"] == "Report_CSV_20180820"
    assert report.manifest["ReportSchema"] == (
        "Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage"
    )
    assert {entry["Bucket"] for entry in report.manifest["Results"]} == {"reports"}
    assert report.manifest["Job"]["State"] == "completed"
    assert report.manifest["Job"]["Counts"] == {"Total": 12, "Scored": 7, "Flagged": 0, "Reused": 0, "Failed": 5}
    assert [row[1] for row in report.failed] == [
        "a%20b%2Cc%22%27%0A%3D1.png",
        "%C3%A9/%E5%86%99%E7%9C%9F%20%F0%9F%98%80%2B%25.png",
        "-2%2B3.png",
        "x" * 900 + ".png",
        "000000.png",
    ]
    assert report.failed[0][2:] == ["", "failed", "not_found", "404", "'=gone, says S3"]  # no formula
    assert report.failed[0][0] == "photos"
    assert [row[1] for row in report.succeeded] == [f"{i:06d}.png" for i in range(1, 8)]
    assert report.succeeded[0][4:6] == ["", "200"]
    assert json.loads(report.succeeded[0][6]) == {
        "score": 0.25,
        "flagged": False,
        "tampered_area": 0.0,
        "map_uri": "memory://maps/1.png",
        "reused": False,
    }


def test_parts_are_bounded_and_numbered_and_more_than_one_batch_is_read(desk: Desk) -> None:
    job_id = desk.finish_shards(entries(3000), failed=100)
    assert desk.step()
    report = read_report(desk.shelf, f"weekly/job-{job_id}/manifest.json")
    assert (len(report.succeeded), len(report.failed)) == (2900, 100)
    assert [row[1] for row in report.failed + report.succeeded] == [f"{i:06d}.png" for i in range(3000)]
    assert max(len(data) for key, data in desk.objects().items() if key.endswith(".csv")) < 10_300
    names = [entry["Key"].rsplit("/", 1)[1] for entry in report.manifest["Results"]]
    assert names[:2] == ["succeeded-00001.csv", "succeeded-00002.csv"]
    assert len(names) == len(set(names)) == len(report.files) > 10


@pytest.mark.parametrize("ending", ["cancel", "fail"])
def test_a_job_that_ends_otherwise_is_over_at_once_and_has_its_report_too(desk: Desk, ending: str) -> None:
    bench = desk.bench
    job_id = ready_job(bench.engine, entries(8), options=OPTIONS)
    (lease,) = claim(bench.queue(), 1)
    bench.queue().finish(lease, results_of(lease))
    job = bench.store.cancel(job_id) if ending == "cancel" else bench.store.fail(job_id, "no disk")
    assert job.report_due
    assert desk.step()
    report = read_report(desk.shelf, f"weekly/job-{job_id}/manifest.json")
    wanted = ("cancelled", None) if ending == "cancel" else ("failed", "no disk")
    assert (report.manifest["Job"]["State"], report.manifest["Job"]["Error"]) == wanted
    assert len(report.succeeded) == 4
    after = bench.store.get(job_id)
    assert (after.state, after.report_due, after.finished_at) == (job.state, False, job.finished_at)


def test_a_job_cancelled_before_anything_was_screened_has_an_empty_report(desk: Desk) -> None:
    job_id = ready_job(desk.bench.engine, entries(8), options=OPTIONS)
    desk.bench.store.cancel(job_id)
    assert desk.step()
    assert read_report(desk.shelf, f"weekly/job-{job_id}/manifest.json").manifest["Results"] == []


def test_a_job_without_a_report_has_none(desk: Desk) -> None:
    job_id = ready_job(desk.bench.engine, entries(4))
    desk.bench.store.cancel(job_id)
    assert not desk.step()
    assert not desk.writer().pending(job_id)
    assert desk.objects() == {}


# -- writers that vanish, stop, meet


def test_who_takes_over_from_a_killed_writer_writes_the_same_files(desk: Desk) -> None:
    job_id = desk.finish_shards(entries(400), failed=30)
    written: list[str] = []

    class Killed(BaseException):
        """Nothing of the writer runs after this."""

    def kill(key: str) -> None:
        written.append(key)
        if len(written) == 3:
            raise Killed

    desk.shelf.before = kill  # type: ignore[method-assign]
    with pytest.raises(Killed):
        desk.step()
    half = desk.objects()
    assert len(half) == 2
    desk.shelf.before = lambda key: None  # type: ignore[method-assign]
    assert not desk.step()  # the lease of the dead one
    assert desk.bench.store.get(job_id).state is JobState.COMPLETING
    desk.bench.clock.advance(REPORT_LEASE_S + 1)
    assert desk.step()
    whole = desk.objects()
    assert {key: whole[key] for key in half} == half
    assert desk.bench.store.get(job_id).state is JobState.COMPLETED


def test_the_report_written_twice_is_the_same_to_the_byte(desk: Desk) -> None:
    job_id = desk.finish_shards(entries(400), failed=30)
    queue = ReportQueue(desk.bench.engine, desk.bench.clock)
    late = queue.claim(REPORT_LEASE_S)
    assert late is not None
    desk.writer()._write(late, desk.stop)
    first = desk.objects()
    desk.bench.clock.advance(REPORT_LEASE_S + 1)
    assert desk.step()
    assert desk.objects() == first
    assert not queue.written(late, "memory://elsewhere")
    assert not queue.extend(late, REPORT_LEASE_S)
    assert desk.bench.store.get(job_id).report_uri == f"{STORE}/weekly/job-{job_id}/manifest.json"


def test_a_writer_that_is_to_stop_gives_the_report_back(desk: Desk) -> None:
    job_id = desk.finish_shards(entries(8))
    desk.stop.set()
    assert desk.step()
    assert desk.bench.store.get(job_id).state is JobState.COMPLETING
    desk.stop.clear()
    assert desk.step()
    assert desk.bench.store.get(job_id).state is JobState.COMPLETED


def test_several_writers_write_each_report_once(desk: Desk) -> None:
    ids = [desk.finish_shards(entries(8)) for _ in range(6)]
    writes: list[str] = []
    desk.shelf.before = writes.append  # type: ignore[method-assign]
    start = threading.Barrier(3)

    def work() -> None:
        start.wait()
        while desk.step():
            pass

    with ThreadPoolExecutor(3) as pool:
        for future in [pool.submit(work) for _ in range(3)]:
            future.result()
    assert len(writes) == len(set(writes)) == 12
    assert {desk.bench.store.get(job_id).state for job_id in ids} == {JobState.COMPLETED}


def test_a_writer_for_one_job_leaves_the_others_alone(desk: Desk) -> None:
    other, mine = desk.finish_shards(entries(4)), desk.finish_shards(entries(4))
    assert desk.step(mine)
    assert not desk.step(mine)
    assert desk.bench.store.get(other).state is JobState.COMPLETING


# -- stores that are away, or say no


def waiting(desk: Desk, job_id: JobId) -> Job:
    assert desk.step()
    return desk.bench.store.get(job_id)


def test_a_store_that_is_away_delays_the_end_and_says_so(desk: Desk) -> None:
    job_id = desk.finish_shards(entries(4))

    def away(key: str) -> None:
        raise StorageUnavailable(STORE, "503 Slow Down")

    desk.shelf.before = away  # type: ignore[method-assign]
    for attempt in range(3):
        job = waiting(desk, job_id)
        assert (job.state, job.report_due, job.report_error) == (JobState.COMPLETING, True, f"{STORE}: 503 Slow Down")
        assert not desk.writer().pending(job_id)  # nobody has to wait for the next attempt
        desk.bench.clock.advance(FIRST_PAUSE_S * 2**attempt - 0.5)
        assert not desk.step()
        desk.bench.clock.advance(1)
    desk.shelf.before = lambda key: None  # type: ignore[method-assign]
    job = waiting(desk, job_id)
    assert (job.state, job.report_error, job.report_due) == (JobState.COMPLETED, None, False)


def test_a_store_that_stays_away_is_given_up_in_the_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.report_queue.MAX_REPORT_ATTEMPTS", 2)
    assert MAX_REPORT_ATTEMPTS > 100
    job_id = desk.finish_shards(entries(4))

    def away(key: str) -> None:
        raise StorageUnavailable(STORE, "gone")

    desk.shelf.before = away  # type: ignore[method-assign]
    assert waiting(desk, job_id).state is JobState.COMPLETING
    desk.bench.clock.advance(1000)
    job = waiting(desk, job_id)
    assert (job.state, job.report_error) == (JobState.COMPLETED, f"given up after 2 tries: {STORE}: gone")


def test_a_store_that_refuses_costs_the_report_and_not_the_job(desk: Desk) -> None:
    job_id = desk.finish_shards(entries(4))

    def refuse(key: str) -> None:
        raise AccessDenied(STORE, "read-only")

    desk.shelf.before = refuse  # type: ignore[method-assign]
    job = waiting(desk, job_id)
    assert (job.state, job.report_uri, job.report_due) == (JobState.COMPLETED, None, False)
    assert job.report_error == f"{STORE}: read-only"


def test_a_surprise_while_writing_costs_the_report_and_not_the_job(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = desk.finish_shards(entries(4))

    def odd(key: str) -> None:
        raise ZeroDivisionError("odd")

    desk.shelf.before = odd  # type: ignore[method-assign]
    job = waiting(desk, job_id)
    assert (job.state, job.report_error) == (JobState.COMPLETED, "ZeroDivisionError('odd')")
    assert "cannot be written" in caplog.text


def test_a_job_cancelled_while_its_report_waits_is_reported_as_cancelled(desk: Desk) -> None:
    job_id = desk.finish_shards(entries(4))
    assert desk.bench.store.cancel(job_id).state is JobState.CANCELLED
    assert desk.step()
    manifest = read_report(desk.shelf, f"weekly/job-{job_id}/manifest.json").manifest
    assert manifest["Job"]["State"] == "cancelled"


def test_a_job_cancelled_while_its_report_is_written_is_not_reported_as_completed(desk: Desk) -> None:
    job_id = desk.finish_shards(entries(4))

    def cancel(key: str) -> None:
        desk.shelf.before = lambda key: None  # type: ignore[method-assign]
        desk.bench.store.cancel(job_id)

    desk.shelf.before = cancel  # type: ignore[method-assign]
    assert desk.step()
    assert desk.bench.store.get(job_id).report_due
    assert f"weekly/job-{job_id}/manifest.json" not in desk.objects()
    assert desk.step()
    manifest = read_report(desk.shelf, f"weekly/job-{job_id}/manifest.json").manifest
    assert manifest["Job"]["State"] == "cancelled"


@pytest.mark.s3
def test_on_a_real_store(desk: Desk, s3_bucket: S3Bucket) -> None:
    storage = open_storage(s3_bucket.container, s3_bucket.options)
    job_id = ready_job(
        desk.bench.engine, entries(4), options=JobOptions(report=f"{s3_bucket.container}/weekly reports/é")
    )
    desk.bench.store.cancel(job_id)
    writer = desk.writer()
    writer._open_storage = lambda container: storage
    assert writer.step(desk.stop)
    job = desk.bench.store.get(job_id)
    assert job.report_uri == f"{s3_bucket.container}/weekly reports/é/job-{job_id}/manifest.json", job.report_error
    assert read_report(storage, f"weekly reports/é/job-{job_id}/manifest.json").manifest["Job"]["Id"] == job_id


def test_in_a_folder(desk: Desk, tmp_path: Path) -> None:
    place = tmp_path / "new" / "reports"
    job_id = ready_job(desk.bench.engine, entries(4), options=JobOptions(report=place.as_uri()))
    (lease,) = claim(desk.bench.queue(), 1)
    desk.bench.queue().finish(lease, results_of(lease))
    writer = desk.writer()
    writer._open_storage = lambda container: open_storage(container, S3Options())
    assert writer.step(desk.stop)
    job = desk.bench.store.get(job_id)
    assert job.report_uri == (place / f"job-{job_id}" / "manifest.json").as_uri(), job.report_error
    report = read_report(open_storage(place.as_uri(), S3Options()), f"job-{job_id}/manifest.json")
    assert len(report.succeeded) == 4


def test_a_place_that_is_a_file_costs_the_report_and_not_the_job(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    job_id = ready_job(desk.bench.engine, entries(4), options=JobOptions(report=str(tmp_path / "file")))
    desk.bench.store.cancel(job_id)
    assert desk.step()
    assert "a report needs a folder or s3://bucket/prefix, not a file" in str(desk.bench.store.get(job_id).report_error)
