"""The queue of shards: claimed, kept alive, finished under a fence."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError
from support.builders import (
    FINGERPRINT,
    Bench,
    check_accounts,
    check_completed,
    entries,
    ready_job,
    results_of,
    shard_rows,
    unreadable,
)
from support.queueing import LEASE_S, claim, claim_one, prepared

from jobs.domain import JobOptions, ModelRef
from jobs.domain.states import JobState
from jobs.errors import ErrorCode, LeaseLost
from jobs.shards import work_queue
from jobs.shards.work_queue import RETRY_AFTER_S
from jobs.verdicts import VerdictStore

# -- claim


def test_shards_are_claimed_in_the_order_of_the_manifest(bench: Bench) -> None:
    images = entries(10)
    job_id = ready_job(bench.engine, images)
    leases = claim(bench.queue())
    assert [lease.first_ordinal for lease in leases] == [0, 4, 8]
    assert [image for lease in leases for image in lease.entries] == images
    assert {(lease.job_id, lease.attempt, lease.fence, lease.threshold) for lease in leases} == {(job_id, 1, 1, 0.5)}
    assert leases[0].model.fingerprint == FINGERPRINT
    assert claim(bench.queue()) == []


def test_the_oldest_job_comes_first(bench: Bench) -> None:
    jobs = sorted(prepared(bench, 4) for _ in range(4))
    assert [lease.job_id for lease in claim(bench.queue())] == jobs


def test_no_more_than_asked_for(bench: Bench) -> None:
    prepared(bench, 40)
    assert [lease.first_ordinal for lease in claim(bench.queue(), 3)] == [0, 4, 8]
    assert [lease.first_ordinal for lease in claim(bench.queue(), 2)] == [12, 16]


def test_resting_jobs_are_passed_over(bench: Bench) -> None:
    urgent, plain, other = (prepared(bench, options=JobOptions(priority=priority)) for priority in (5, 0, 0))
    assert {lease.job_id for lease in claim(bench.queue(), 3, resting=[urgent, plain])} == {other}
    assert claim(bench.queue(), 1, job_id=urgent, resting=[urgent]) == []
    assert claim(bench.queue(), 1)[0].job_id == urgent


def test_what_a_shard_waits_for_is_shown_until_it_is_done(bench: Bench) -> None:
    job_id = prepared(bench, 4)
    queue = bench.queue()
    queue.release(claim_one(queue))
    assert bench.store.waits_for(job_id) is None
    queue.release(claim_one(queue), "the storage\0 is away")
    assert bench.store.waits_for(job_id) == "the storage\ufffd is away"
    lease = claim_one(queue)
    assert bench.store.waits_for(job_id) is None  # it is tried just now
    queue.finish(lease, results_of(lease))
    assert bench.store.waits_for(job_id) is None


def test_one_job_alone(bench: Bench) -> None:
    prepared(bench)
    wanted = prepared(bench)
    assert {lease.job_id for lease in claim(bench.queue(), job_id=wanted)} == {wanted}


def test_jobs_of_another_model_are_left_alone(bench: Bench) -> None:
    prepared(bench, model=ModelRef(name="other", fingerprint="cd" * 32))
    mine = prepared(bench)
    assert {lease.job_id for lease in claim(bench.queue())} == {mine}


def test_a_job_that_is_not_ready_gives_no_shards(bench: Bench) -> None:
    job_id = bench.submit(0)
    preparation = bench.store.claim_preparation(60)
    assert preparation is not None
    bench.store.extend_preparation(preparation, 60, shard=entries(4))
    assert claim(bench.queue()) == []
    bench.store.finish_preparation(preparation, ignored=0)
    assert [lease.job_id for lease in claim(bench.queue())] == [job_id]


def test_the_first_claim_starts_the_job(bench: Bench) -> None:
    job_id = prepared(bench)
    assert bench.store.get(job_id).started_at is None
    claim(bench.queue(), 1)
    started = bench.store.get(job_id)
    assert started.state is JobState.RUNNING
    assert started.started_at is not None
    bench.clock.advance(100)
    claim(bench.queue(), 1)
    assert bench.store.get(job_id).started_at == started.started_at


@pytest.mark.parametrize("ending", ["cancel", "fail"])
def test_shards_of_an_ended_job_are_not_given_out(bench: Bench, ending: str) -> None:
    job_id = prepared(bench)
    if ending == "cancel":
        bench.store.cancel(job_id)
    else:
        bench.store.fail(job_id, "no more")
    assert claim(bench.queue()) == []


def test_threads_never_get_the_same_shard(bench: Bench) -> None:
    job_id = prepared(bench, 120, shard_size=2)
    start = threading.Barrier(4)

    def work(number: int) -> list[int]:
        queue = bench.queue(f"worker {number}")
        mine = []
        start.wait()
        while leases := claim(queue, 3):
            for lease in leases:
                queue.finish(lease, results_of(lease, score=lambda ordinal: ordinal % 3 / 2))
                mine.append(int(lease.shard_id))
        return mine

    with ThreadPoolExecutor(4) as pool:
        got = [shard for mine in pool.map(work, range(4)) for shard in mine]
    assert len(got) == len(set(got)) == 60
    bench.store.complete(job_id)
    job = check_completed(bench.engine, job_id, 120)
    assert (job.counts.scored, job.counts.flagged) == (120, 80)


# -- heartbeat


def test_a_heartbeat_prolongs_a_lease(bench: Bench) -> None:
    prepared(bench, 4)
    lease = claim_one(bench.queue())
    bench.clock.advance(50)
    assert bench.queue().heartbeat([lease], LEASE_S) == []
    bench.clock.advance(50)
    assert bench.queue().rescue() == 0
    bench.clock.advance(11)
    assert bench.queue().rescue() == 1


def test_a_heartbeat_tells_which_leases_are_lost(bench: Bench) -> None:
    prepared(bench, 12)
    kept, rescued, done = claim(bench.queue())
    bench.queue().finish(done, results_of(done))
    bench.queue().fail_attempt(rescued, "gone")
    assert bench.queue().heartbeat([kept, rescued, done], LEASE_S) == [rescued, done]


def test_a_heartbeat_tells_that_a_job_is_to_stop(bench: Bench) -> None:
    job_id = prepared(bench, 8)
    first, second = claim(bench.queue())
    bench.store.cancel(job_id)
    assert bench.queue().heartbeat([first, second], LEASE_S) == [first, second]


# -- finish


def test_a_finished_shard_is_recorded_and_counted(bench: Bench) -> None:
    job_id = prepared(bench, 8)
    first, second = claim(bench.queue())
    results = results_of(first, score=lambda ordinal: ordinal / 3)
    results[0] = unreadable(0, first.entries[0], ErrorCode.CORRUPT)
    assert bench.queue().finish(first, results) is JobState.RUNNING
    counts = bench.store.get(job_id).counts
    assert (counts.total, counts.scored, counts.flagged, counts.failed, counts.done) == (8, 3, 2, 1, 4)
    assert [match.verdict for match in VerdictStore(bench.engine).of_job(job_id)] == results
    assert bench.queue().finish(second, results_of(second)) is JobState.COMPLETING
    bench.store.complete(job_id)
    check_completed(bench.engine, job_id, 8)


def test_results_may_come_in_any_order(bench: Bench) -> None:
    job_id = prepared(bench, 4)
    lease = claim_one(bench.queue())
    bench.queue().finish(lease, results_of(lease)[::-1])
    assert [match.verdict.ordinal for match in VerdictStore(bench.engine).of_job(job_id)] == [0, 1, 2, 3]


def test_a_late_finish_is_refused_and_writes_nothing(bench: Bench) -> None:
    job_id = prepared(bench, 4)
    late = claim_one(bench.queue())
    bench.clock.advance(LEASE_S + 1)
    assert bench.queue().rescue() == 1
    with pytest.raises(LeaseLost):
        bench.queue().finish(late, results_of(late))
    bench.clock.advance(RETRY_AFTER_S)
    again = claim_one(bench.queue("another"))
    assert (again.attempt, again.fence, again.shard_id) == (1, late.fence + 1, late.shard_id)
    assert again.fence > late.fence
    with pytest.raises(LeaseLost):
        bench.queue().finish(late, results_of(late))
    assert check_accounts(bench.engine, job_id).counts.done == 0
    bench.queue("another").finish(again, results_of(again))
    with pytest.raises(LeaseLost):
        bench.queue().finish(late, results_of(late))
    assert check_accounts(bench.engine, job_id).counts.done == 4


def test_an_expired_lease_that_nobody_took_still_counts(bench: Bench) -> None:
    prepared(bench, 4)
    lease = claim_one(bench.queue())
    bench.clock.advance(10 * LEASE_S)
    assert bench.queue().finish(lease, results_of(lease)) is JobState.COMPLETING


@pytest.mark.parametrize("change", ["too few", "too many", "twice the same", "another ordinal"])
def test_results_that_do_not_fit_are_refused(bench: Bench, change: str) -> None:
    job_id = prepared(bench, 4)
    lease = claim_one(bench.queue())
    results = results_of(lease)
    wrong = {
        "too few": results[:3],
        "too many": [*results, replace(results[0], ordinal=4)],
        "twice the same": [*results[:3], results[0]],
        "another ordinal": [*results[:3], replace(results[3], ordinal=99)],
    }[change]
    with pytest.raises(ValueError, match="needs one verdict for each of its 4 images"):
        bench.queue().finish(lease, wrong)
    assert check_accounts(bench.engine, job_id).counts.done == 0
    bench.queue().finish(lease, results)


def test_an_error_in_the_middle_of_a_finish_leaves_no_trace(bench: Bench) -> None:
    job_id = prepared(bench, 4)
    lease = claim_one(bench.queue())

    def break_off(
        connection: object, cursor: object, statement: str, parameters: object, context: object, many: bool
    ) -> None:
        if statement.startswith("UPDATE jobs"):
            raise RuntimeError("the plug was pulled")

    event.listen(bench.engine, "before_cursor_execute", break_off)
    with pytest.raises(RuntimeError, match="plug"):
        bench.queue().finish(lease, results_of(lease))
    event.remove(bench.engine, "before_cursor_execute", break_off)
    assert list(VerdictStore(bench.engine).of_job(job_id)) == []
    assert [row["state"] for row in shard_rows(bench.engine, job_id)] == ["leased"]
    bench.queue().finish(lease, results_of(lease))
    assert check_accounts(bench.engine, job_id).counts.done == 4


def test_a_second_verdict_for_an_image_is_impossible(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = prepared(bench, 8)
    first, second = claim(bench.queue())
    bench.queue().finish(first, results_of(first))
    doubled = replace(second, first_ordinal=first.first_ordinal)
    with pytest.raises(IntegrityError):
        bench.queue().finish(doubled, results_of(doubled))
    assert check_accounts(bench.engine, job_id).counts.done == 4
    assert bench.queue().heartbeat([second], LEASE_S) == []


@pytest.mark.parametrize("ending", ["cancel", "fail"])
def test_a_job_that_ends_takes_no_more_results_and_settles_when_nobody_holds_a_shard(bench: Bench, ending: str) -> None:
    job_id = prepared(bench, 12)
    first, second, third = claim(bench.queue())
    bench.queue().finish(first, results_of(first))
    waiting, over = {
        "cancel": (JobState.CANCELLING, JobState.CANCELLED),
        "fail": (JobState.FAILING, JobState.FAILED),
    }[ending]
    ended = bench.store.cancel(job_id) if ending == "cancel" else bench.store.fail(job_id, "no more")
    assert ended.state is waiting
    with pytest.raises(LeaseLost):
        bench.queue().finish(second, results_of(second))
    assert bench.store.get(job_id).state is waiting
    bench.queue().release(third)
    job = check_accounts(bench.engine, job_id)
    assert (job.state, job.counts.done) == (over, 4)
    assert job.finished_at is not None
    assert "leased" not in {row["state"] for row in shard_rows(bench.engine, job_id)}


def test_a_vanished_worker_does_not_keep_a_cancelled_job_open(bench: Bench) -> None:
    job_id = prepared(bench, 4)
    claim_one(bench.queue())
    assert bench.store.cancel(job_id).state is JobState.CANCELLING
    bench.clock.advance(LEASE_S + 1)
    bench.queue("another").rescue()
    assert bench.store.get(job_id).state is JobState.CANCELLED


@pytest.mark.parametrize(
    ("state", "left"),
    [(JobState.CANCELLED, "cancelled"), (JobState.CANCELLING, "queued"), (JobState.PAUSED, "queued")],
)
def test_a_job_that_stops_between_look_and_lock_is_not_claimed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, state: JobState, left: str
) -> None:
    job_id = prepared(bench, 4)
    real = work_queue._lock_jobs

    def late(*args: object) -> object:
        return dict.fromkeys(real(*args), state)  # type: ignore[arg-type]

    monkeypatch.setattr(work_queue, "_lock_jobs", late)
    assert claim(bench.queue()) == []
    assert [row["state"] for row in shard_rows(bench.engine, job_id)] == [left]
