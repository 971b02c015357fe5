"""The completion report: there before the job is completed, whole, the same however often it is written."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.builders import Bench, entries, entry, ready_job, results_of
from support.queueing import claim
from support.reporting import OPTIONS, STORAGE, ReportBench, read_report

from jobs.completion_reports.report_queue import ReportQueue
from jobs.domain import ImageKey
from jobs.domain.states import JobState
from jobs.errors import WorkLost
from jobs.leased_work.held import LEASE_S, Hold

ODD = ["a b,c\"'\n=1.png", "é/写真 😀+%.png", "-2+3.png", "x" * 900 + ".png"]


@pytest.fixture
def reports(bench: Bench) -> ReportBench:
    return ReportBench(bench)


def test_a_job_is_completed_when_its_report_is_there(reports: ReportBench) -> None:
    job_id = reports.finish_shards([entry(key) for key in ODD] + entries(8), failed=5)
    waiting = reports.bench.store.get(job_id)
    assert (waiting.state, waiting.report_due, waiting.report_uri) == (JobState.COMPLETING, True, None)
    assert reports.bench.store.completing() == []
    assert reports.writer().pending(job_id)
    assert reports.step()
    assert not reports.step()
    job = reports.bench.store.get(job_id)
    uri = f"{STORAGE}/weekly/job-{job_id}/manifest.json"
    assert (job.state, job.report_due, job.report_uri, job.report_error) == (JobState.COMPLETED, False, uri, None)

    report = read_report(reports.storage, uri.removeprefix(f"{STORAGE}/"))
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
        "ordinal": 5,
        "score": 0.25,
        "flagged": False,
        "tampered_area": 0.0,
        "evidence": None,
        "map_uri": "memory://maps/1.png",
        "reused": False,
    }


def test_cases_have_a_list_of_their_own(reports: ReportBench) -> None:
    images = [entry(f"{number}.jpg", case=case) for number, case in enumerate(["b", "=cmd", "b", None, "é, x", "b"])]
    job_id = reports.finish_shards(images, failed=1)
    reports.step()
    folder = f"weekly/job-{job_id}"
    report = read_report(reports.storage, f"{folder}/manifest.json")
    told = report.manifest["Job"]["Cases"]
    data = reports.storage.read(ImageKey(told["Key"]))
    assert (told["Key"], told["Count"], told["Flagged"]) == (f"{folder}/cases.csv", 3, 0)
    assert hashlib.md5(data, usedforsecurity=False).hexdigest() == told["MD5Checksum"]
    assert list(csv.reader(io.StringIO(data.decode()))) == [
        ["Case", "Score", "Images", "Flagged", "Failed"],
        ["'=cmd", "0.25", "1", "0", "0"],
        ["b", "0.25", "3", "0", "1"],
        ["é, x", "0.25", "1", "0", "0"],
    ]


def test_without_cases_there_is_no_such_list(reports: ReportBench) -> None:
    job_id = reports.finish_shards(entries(3), failed=0)
    reports.step()
    report = read_report(reports.storage, f"weekly/job-{job_id}/manifest.json")
    assert "Cases" not in report.manifest["Job"]
    assert not [each.key for each in reports.storage.list_objects() if each.key.endswith("cases.csv")]


def test_parts_are_bounded_and_numbered_and_more_than_one_batch_is_read(reports: ReportBench) -> None:
    job_id = reports.finish_shards(entries(3000), failed=100)
    assert reports.step()
    report = read_report(reports.storage, f"weekly/job-{job_id}/manifest.json")
    assert (len(report.succeeded), len(report.failed)) == (2900, 100)
    assert [row[1] for row in report.failed + report.succeeded] == [f"{i:06d}.png" for i in range(3000)]
    assert max(len(data) for key, data in reports.objects().items() if key.endswith(".csv")) < 10_300
    names = [entry["Key"].rsplit("/", 1)[1] for entry in report.manifest["Results"]]
    assert names[:2] == ["succeeded-00001.csv", "succeeded-00002.csv"]
    assert len(names) == len(set(names)) == len(report.files) > 10


@pytest.mark.parametrize("ending", ["cancel", "fail"])
def test_a_job_that_ends_otherwise_is_over_at_once_and_has_its_report_too(reports: ReportBench, ending: str) -> None:
    bench = reports.bench
    job_id = ready_job(bench.engine, entries(8), options=OPTIONS)
    (lease,) = claim(bench.queue(), 1)
    bench.queue().finish(lease, results_of(lease))
    job = bench.store.cancel(job_id) if ending == "cancel" else bench.store.fail(job_id, "no disk")
    assert job.report_due
    assert reports.step()
    report = read_report(reports.storage, f"weekly/job-{job_id}/manifest.json")
    wanted = ("cancelled", None) if ending == "cancel" else ("failed", "no disk")
    assert (report.manifest["Job"]["State"], report.manifest["Job"]["Error"]) == wanted
    assert len(report.succeeded) == 4
    after = bench.store.get(job_id)
    assert (after.state, after.report_due, after.finished_at) == (job.state, False, job.finished_at)


def test_a_job_cancelled_before_anything_was_screened_has_an_empty_report(reports: ReportBench) -> None:
    job_id = ready_job(reports.bench.engine, entries(8), options=OPTIONS)
    reports.bench.store.cancel(job_id)
    assert reports.step()
    assert read_report(reports.storage, f"weekly/job-{job_id}/manifest.json").manifest["Results"] == []


def test_a_job_without_a_report_has_none(reports: ReportBench) -> None:
    job_id = ready_job(reports.bench.engine, entries(4))
    reports.bench.store.cancel(job_id)
    assert not reports.step()
    assert not reports.writer().pending(job_id)
    assert reports.objects() == {}


# -- writers that vanish, stop, meet


def test_who_takes_over_from_a_killed_writer_writes_the_same_files(reports: ReportBench) -> None:
    job_id = reports.finish_shards(entries(400), failed=30)
    written: list[str] = []

    class Killed(BaseException):
        """Nothing of the writer runs after this."""

    def kill(key: str) -> None:
        written.append(key)
        if len(written) == 3:
            raise Killed

    reports.storage.before = kill  # type: ignore[method-assign]
    with pytest.raises(Killed):
        reports.step()
    half = reports.objects()
    assert len(half) == 2
    reports.storage.before = lambda key: None  # type: ignore[method-assign]
    assert not reports.step()  # the lease of the dead one
    assert reports.bench.store.get(job_id).state is JobState.COMPLETING
    reports.bench.clock.advance(LEASE_S + 1)
    assert reports.step()
    whole = reports.objects()
    assert {key: whole[key] for key in half} == half
    assert reports.bench.store.get(job_id).state is JobState.COMPLETED


def test_the_report_written_twice_is_the_same_to_the_byte(reports: ReportBench) -> None:
    job_id = reports.finish_shards(entries(400), failed=30)
    queue = ReportQueue(reports.bench.engine, reports.bench.clock)
    late = queue.claim(LEASE_S)
    assert late is not None
    reports.handler()._write(late, Hold(late.work), reports.stop)
    first = reports.objects()
    reports.bench.clock.advance(LEASE_S + 1)
    assert reports.step()
    assert reports.objects() == first
    with pytest.raises(WorkLost):
        queue.written(late, "memory://elsewhere")
    assert reports.bench.store.work.extend([late.work], LEASE_S) == [late.work]
    assert reports.bench.store.get(job_id).report_uri == f"{STORAGE}/weekly/job-{job_id}/manifest.json"


def test_a_writer_that_is_to_stop_gives_the_report_back(reports: ReportBench) -> None:
    job_id = reports.finish_shards(entries(8))
    reports.stop.set()
    assert reports.step()
    assert reports.bench.store.get(job_id).state is JobState.COMPLETING
    reports.stop.clear()
    assert reports.step()
    assert reports.bench.store.get(job_id).state is JobState.COMPLETED


def test_several_writers_write_each_report_once(reports: ReportBench) -> None:
    ids = [reports.finish_shards(entries(8)) for _ in range(6)]
    writes: list[str] = []
    reports.storage.before = writes.append  # type: ignore[method-assign]
    start = threading.Barrier(3)

    def work() -> None:
        start.wait()
        while reports.step():
            pass

    with ThreadPoolExecutor(3) as pool:
        for future in [pool.submit(work) for _ in range(3)]:
            future.result()
    assert len(writes) == len(set(writes)) == 12
    assert {reports.bench.store.get(job_id).state for job_id in ids} == {JobState.COMPLETED}


def test_a_writer_for_one_job_leaves_the_others_alone(reports: ReportBench) -> None:
    other, mine = reports.finish_shards(entries(4)), reports.finish_shards(entries(4))
    assert reports.step(mine)
    assert not reports.step(mine)
    assert reports.bench.store.get(other).state is JobState.COMPLETING
