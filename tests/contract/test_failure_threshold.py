"""A job of which too much fails gives up, in the transaction that records the verdict too many."""

from __future__ import annotations

import pytest
from support.builders import (
    Bench,
    check_accounts,
    check_completed,
    entries,
    ready_job,
    results_of,
    shard_rows,
    unreadable,
)
from support.queueing import LEASE_S, claim

from jobs.domain import Counts, FailureThreshold, JobId, JobOptions, Lease, Verdict
from jobs.domain.states import JobState
from jobs.errors import ErrorCode, LeaseLost
from jobs.shards.dividing import MAX_VANISHED
from jobs.shards.failure_threshold import give_up_reason


def make(bench: Bench, images: int, *, ratio: float = 0.5, sample: int = 1000, shard_size: int = 4) -> JobId:
    options = JobOptions(failure_threshold=FailureThreshold(ratio=ratio, sample=sample))
    return ready_job(bench.engine, entries(images), shard_size=shard_size, options=options)


def results(lease: Lease, failed: int, code: ErrorCode = ErrorCode.NOT_FOUND) -> list[Verdict]:
    """Verdicts of which the first ones have an error code."""
    fine = results_of(lease)
    return [unreadable(v.ordinal, lease.entries[i], code) if i < failed else v for i, v in enumerate(fine)]


def run(bench: Bench, *failures: int) -> JobState:
    """Finish one shard after the other, with so many failures each; gives the state after the last."""
    for failed in failures:
        (lease,) = claim(bench.queue(), 1)
        state = bench.queue().finish(lease, results(lease, failed))
    return state


def test_a_job_gives_up_once_the_sample_is_reached_and_the_share_is_passed(bench: Bench) -> None:
    job_id = make(bench, 40, sample=12)
    assert run(bench, 4, 4) is JobState.RUNNING  # all failed, but too few to judge
    assert run(bench, 0) is JobState.FAILED  # 8 of 12
    job = check_accounts(bench.engine, job_id)
    assert job.error == (
        "8 of 12 images failed, more than the 50% this job allows; most often not_found (8): "
        "find out whether they were moved or deleted since the job was submitted. Afterwards: submit it again"
    )
    assert job.finished_at is not None
    assert {row["state"] for row in shard_rows(bench.engine, job_id)} == {"done", "cancelled"}
    assert claim(bench.queue()) == []


def test_just_the_share_allowed_is_allowed(bench: Bench) -> None:
    job_id = make(bench, 16, sample=8)
    assert run(bench, 4, 0, 0, 4) is JobState.COMPLETING
    bench.store.complete(job_id)
    check_completed(bench.engine, job_id, 16)


def test_the_share_may_be_passed_late(bench: Bench) -> None:
    make(bench, 24, sample=8)
    assert run(bench, 2, 2, 2) is JobState.RUNNING
    assert run(bench, 4) is JobState.FAILED  # 10 of 16


def test_what_others_hold_is_dropped_before_the_job_has_failed(bench: Bench) -> None:
    job_id = make(bench, 16, sample=4)
    first, second = claim(bench.queue(), 2)
    assert bench.queue().finish(first, results(first, 4)) is JobState.FAILING
    assert bench.queue().heartbeat([second], LEASE_S) == [second]
    with pytest.raises(LeaseLost):
        bench.queue().finish(second, results_of(second))
    assert check_accounts(bench.engine, job_id).state is JobState.FAILED


@pytest.mark.parametrize(("failed", "state"), [(4, JobState.FAILED), (3, JobState.FAILED), (2, JobState.COMPLETING)])
def test_a_job_smaller_than_the_sample_is_judged_when_all_of_it_has_a_verdict(
    bench: Bench, failed: int, state: JobState
) -> None:
    job_id = make(bench, 4)
    assert run(bench, failed) is state
    error = bench.store.get(job_id).error or ""
    assert error.endswith("Afterwards: retry the images that failed") == (state is JobState.FAILED)


def test_a_ratio_of_one_never_gives_up(bench: Bench) -> None:
    job_id = make(bench, 8, ratio=1.0, sample=1)
    assert run(bench, 4, 4) is JobState.COMPLETING
    bench.store.complete(job_id)
    assert check_completed(bench.engine, job_id, 8).counts.failed == 8


def test_a_ratio_of_zero_gives_up_at_the_first_failure(bench: Bench) -> None:
    make(bench, 400, ratio=0.0, sample=1)
    assert run(bench, 0, 0) is JobState.RUNNING
    assert run(bench, 1) is JobState.FAILED


def test_a_pausing_job_gives_up_too(bench: Bench) -> None:
    job_id = make(bench, 16, sample=4)
    (lease,) = claim(bench.queue(), 1)
    bench.store.pause(job_id)
    assert bench.queue().finish(lease, results(lease, 4)) is JobState.FAILED


def test_images_that_are_set_aside_count(bench: Bench) -> None:
    job_id = make(bench, 4, sample=1, shard_size=1)
    for _ in range(MAX_VANISHED):
        assert bench.queue().heartbeat(claim(bench.queue(), 1), LEASE_S) == []
        bench.clock.advance(LEASE_S + 1)
        bench.queue("another").rescue()
    job = check_accounts(bench.engine, job_id)
    assert (job.state, job.counts.failed) == (JobState.FAILED, 1)
    assert "most often model_error (1)" in str(job.error)


@pytest.mark.parametrize("code", list(ErrorCode))
def test_the_reason_has_advice_for_every_code(code: ErrorCode) -> None:
    counts = Counts(total=5000, scored=100, failed=900)
    codes = {ErrorCode.EMPTY: 2, code: 898} if code is not ErrorCode.EMPTY else {code: 900}
    reason = give_up_reason(counts, FailureThreshold(), codes)
    assert f"900 of 1,000 images failed, more than the 50% this job allows; most often {code} (" in reason
