"""The completion report and its storage: real ones, and those that are away or say no."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.builders import Bench, entries, ready_job, results_of
from support.queueing import claim
from support.reporting import STORAGE, ReportBench, read_report
from support.servers.s3_server import S3Bucket

from jobs.completion_reports.report_queue import FIRST_PAUSE_S, LONGEST_PAUSE_S
from jobs.domain import Job, JobId, JobOptions
from jobs.domain.states import JobState
from jobs.errors import AccessDenied, RequestRefused, StorageUnavailable
from jobs.storage import S3Options, open_storage


@pytest.fixture
def reports(bench: Bench) -> ReportBench:
    return ReportBench(bench)


def waiting(reports: ReportBench, job_id: JobId) -> Job:
    assert reports.step()
    return reports.bench.store.get(job_id)


def test_a_storage_that_is_away_delays_the_end_and_says_so(reports: ReportBench) -> None:
    job_id = reports.finish_shards(entries(4))

    def away(key: str) -> None:
        raise StorageUnavailable(STORAGE, "503 Slow Down")

    reports.storage.before = away  # type: ignore[method-assign]
    reports.bench.clock.stop()
    for attempt in range(3):
        job = waiting(reports, job_id)
        assert (job.state, job.report_due, job.report_error) == (JobState.COMPLETING, True, f"{STORAGE}: 503 Slow Down")
        assert not reports.writer().pending(job_id)  # nobody has to wait for the next attempt
        reports.bench.clock.advance(FIRST_PAUSE_S * 2**attempt - 0.5)
        assert not reports.step()
        reports.bench.clock.advance(1)
    reports.storage.before = lambda key: None  # type: ignore[method-assign]
    job = waiting(reports, job_id)
    assert (job.state, job.report_error, job.report_due) == (JobState.COMPLETED, None, False)


def test_a_storage_that_stays_away_is_waited_for_however_long(reports: ReportBench) -> None:
    """More than a day: nothing is final because something was away."""
    job_id = reports.finish_shards(entries(4))

    def away(key: str) -> None:
        raise StorageUnavailable(STORAGE, "gone")

    reports.storage.before = away  # type: ignore[method-assign]
    waited_s = 0.0
    for _ in range(320):
        assert waiting(reports, job_id).state is JobState.COMPLETING
        reports.bench.clock.advance(LONGEST_PAUSE_S + 1)
        waited_s += LONGEST_PAUSE_S + 1
    assert waited_s > 24 * 3600
    job = reports.bench.store.get(job_id)
    assert (job.report_due, job.report_error) == (True, f"{STORAGE}: gone")
    assert reports.bench.store.waits_for(job_id) == f"{STORAGE}: gone"
    reports.storage.before = lambda key: None  # type: ignore[method-assign]
    job = waiting(reports, job_id)
    assert (job.state, job.report_error, job.report_due) == (JobState.COMPLETED, None, False)


def test_a_job_whose_report_nobody_waits_for_any_more_can_be_deleted(reports: ReportBench) -> None:
    job_id = reports.finish_shards(entries(4))

    def away(key: str) -> None:
        raise StorageUnavailable(STORAGE, "gone")

    reports.storage.before = away  # type: ignore[method-assign]
    reports.bench.store.cancel(job_id)
    with pytest.raises(RequestRefused, match="still to be written"):
        reports.bench.store.begin_deletion(job_id)  # nobody tried
    assert waiting(reports, job_id).report_error == f"{STORAGE}: gone"
    assert reports.bench.store.begin_deletion(job_id).state is JobState.DELETING
    reports.bench.clock.advance(LONGEST_PAUSE_S + 1)
    assert not reports.step()


def test_a_storage_that_refuses_costs_the_report_and_not_the_job(reports: ReportBench) -> None:
    job_id = reports.finish_shards(entries(4))

    def refuse(key: str) -> None:
        raise AccessDenied(STORAGE, "read-only")

    reports.storage.before = refuse  # type: ignore[method-assign]
    job = waiting(reports, job_id)
    assert (job.state, job.report_uri, job.report_due) == (JobState.COMPLETED, None, False)
    assert job.report_error == f"{STORAGE}: read-only"


def test_a_surprise_while_writing_costs_the_report_and_not_the_job(
    reports: ReportBench, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = reports.finish_shards(entries(4))

    def odd(key: str) -> None:
        raise ZeroDivisionError("odd")

    reports.storage.before = odd  # type: ignore[method-assign]
    job = waiting(reports, job_id)
    assert (job.state, job.report_error) == (JobState.COMPLETED, "ZeroDivisionError('odd')")
    assert "cannot be written" in caplog.text


def test_a_job_cancelled_while_its_report_waits_is_reported_as_cancelled(reports: ReportBench) -> None:
    job_id = reports.finish_shards(entries(4))
    assert reports.bench.store.cancel(job_id).state is JobState.CANCELLED
    assert reports.step()
    manifest = read_report(reports.storage, f"weekly/job-{job_id}/manifest.json").manifest
    assert manifest["Job"]["State"] == "cancelled"


def test_a_job_cancelled_while_its_report_is_written_is_not_reported_as_completed(reports: ReportBench) -> None:
    job_id = reports.finish_shards(entries(4))

    def cancel(key: str) -> None:
        reports.storage.before = lambda key: None  # type: ignore[method-assign]
        reports.bench.store.cancel(job_id)

    reports.storage.before = cancel  # type: ignore[method-assign]
    assert reports.step()
    assert reports.bench.store.get(job_id).report_due
    assert f"weekly/job-{job_id}/manifest.json" not in reports.objects()
    assert reports.step()
    manifest = read_report(reports.storage, f"weekly/job-{job_id}/manifest.json").manifest
    assert manifest["Job"]["State"] == "cancelled"


@pytest.mark.s3
def test_on_a_real_storage(reports: ReportBench, s3_bucket: S3Bucket) -> None:
    storage = open_storage(s3_bucket.container, s3_bucket.options)
    job_id = ready_job(
        reports.bench.engine, entries(4), options=JobOptions(report=f"{s3_bucket.container}/weekly reports/é")
    )
    reports.bench.store.cancel(job_id)
    assert reports.writer(open_storage=lambda container: storage).step(reports.stop)
    job = reports.bench.store.get(job_id)
    assert job.report_uri == f"{s3_bucket.container}/weekly reports/é/job-{job_id}/manifest.json", job.report_error
    assert read_report(storage, f"weekly reports/é/job-{job_id}/manifest.json").manifest["Job"]["Id"] == job_id


def test_in_a_folder(reports: ReportBench, tmp_path: Path) -> None:
    place = tmp_path / "new" / "reports"
    job_id = ready_job(reports.bench.engine, entries(4), options=JobOptions(report=place.as_uri()))
    (lease,) = claim(reports.bench.queue(), 1)
    reports.bench.queue().finish(lease, results_of(lease))
    assert reports.writer(open_storage=lambda container: open_storage(container, S3Options())).step(reports.stop)
    job = reports.bench.store.get(job_id)
    assert job.report_uri == (place / f"job-{job_id}" / "manifest.json").as_uri(), job.report_error
    report = read_report(open_storage(place.as_uri(), S3Options()), f"job-{job_id}/manifest.json")
    assert len(report.succeeded) == 4


def test_a_place_that_is_a_file_costs_the_report_and_not_the_job(reports: ReportBench, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    job_id = ready_job(reports.bench.engine, entries(4), options=JobOptions(report=str(tmp_path / "file")))
    reports.bench.store.cancel(job_id)
    assert reports.step()
    assert "a report needs a folder or s3://bucket/prefix, not a file" in str(
        reports.bench.store.get(job_id).report_error
    )
