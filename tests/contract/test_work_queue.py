"""The queue of shards: claimed, kept alive, finished under a fence, given back, rescued, split and set aside."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from builders import (
    FINGERPRINT,
    Bench,
    check_accounts,
    check_completed,
    entries,
    entry,
    job_row,
    ready_job,
    results_of,
    shard_rows,
    unreadable,
)
from sqlalchemy import Engine, event
from sqlalchemy.exc import IntegrityError

from jobs import work_queue
from jobs.domain import JobId, Lease, ModelRef
from jobs.errors import ErrorCode, LeaseLost
from jobs.states import JobState
from jobs.verdicts import VerdictStore
from jobs.work_queue import MAX_ATTEMPTS, MAX_VANISHED, RETRY_AFTER_S, WorkQueue

LEASE_S = 60.0


def claim(queue: WorkQueue, limit: int = 100, **where: JobId) -> list[Lease]:
    return queue.claim(limit, LEASE_S, fingerprint=FINGERPRINT, **where)


def claim_one(queue: WorkQueue) -> Lease:
    (lease,) = claim(queue, 1)
    return lease


def prepared(bench: Bench, images: int = 8, **fields: object) -> JobId:
    return ready_job(bench.engine, entries(images), **fields)


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
    assert (again.attempt, again.shard_id) == (2, late.shard_id)
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


def test_a_job_cancelled_between_look_and_lock_is_not_claimed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = prepared(bench, 4)
    real = work_queue._lock_jobs

    def late(*args: object) -> object:
        return dict.fromkeys(real(*args), JobState.CANCELLED)  # type: ignore[arg-type]

    monkeypatch.setattr(work_queue, "_lock_jobs", late)
    assert claim(bench.queue()) == []
    assert [row["state"] for row in shard_rows(bench.engine, job_id)] == ["queued"]


# -- giving back


def test_a_released_shard_is_as_it_was_but_for_its_fence(bench: Bench) -> None:
    prepared(bench, 4)
    lease = claim_one(bench.queue())
    bench.queue().release(lease)
    again = claim_one(bench.queue())
    assert (again.attempt, again.entries) == (1, lease.entries)
    assert again.fence > lease.fence
    bench.queue().release(lease)  # with the old fence: nothing happens
    assert bench.queue().heartbeat([again], LEASE_S) == []


def test_a_failed_attempt_waits_twice_as_long_each_time(bench: Bench) -> None:
    job_id = prepared(bench, 4)
    for attempt in range(1, MAX_ATTEMPTS):
        lease = claim_one(bench.queue())
        assert lease.attempt == attempt
        bench.queue().fail_attempt(lease, "odd \0 reason")
        bench.clock.advance(RETRY_AFTER_S * 2 ** (attempt - 1) - 0.5)
        assert claim(bench.queue()) == []
        bench.clock.advance(1.0)
    (row,) = shard_rows(bench.engine, job_id)
    assert row["error"] == "odd � reason"


def test_a_failed_attempt_of_a_lost_lease_changes_nothing(bench: Bench) -> None:
    job_id = prepared(bench, 4)
    late = claim_one(bench.queue())
    bench.queue().release(late)
    held = claim_one(bench.queue())
    before = shard_rows(bench.engine, job_id)
    bench.queue().fail_attempt(late, "too late")
    assert shard_rows(bench.engine, job_id) == before
    assert bench.queue().heartbeat([held], LEASE_S) == []


def use_up(bench: Bench) -> None:
    """All attempts at the only shard go wrong."""
    for _ in range(MAX_ATTEMPTS):
        bench.clock.advance(1000)
        lease = claim_one(bench.queue())
        bench.queue().fail_attempt(lease, "a reason")


def test_an_image_that_keeps_failing_is_set_aside_and_accounted_for(bench: Bench) -> None:
    job_id = ready_job(bench.engine, entries(1))
    use_up(bench)
    assert bench.store.get(job_id).state is JobState.COMPLETING
    bench.store.complete(job_id)
    job = check_completed(bench.engine, job_id, 1)
    assert job.counts.failed == 1
    (match,) = VerdictStore(bench.engine).failed(job_id)
    assert match.verdict.error_code is ErrorCode.MODEL_ERROR
    assert match.verdict.error_message == "set aside after 3 attempts: a reason"
    (row,) = shard_rows(bench.engine, job_id)
    assert (row["state"], row["error"], row["lease_expires_at"]) == ("failed", "a reason", None)


def test_a_shard_that_keeps_failing_is_cut_in_two(bench: Bench) -> None:
    images = entries(5)
    job_id = ready_job(bench.engine, images, shard_size=5)
    use_up(bench)
    halves = claim(bench.queue())
    assert [(lease.first_ordinal, lease.attempt, len(lease.entries)) for lease in halves] == [(0, 3, 2), (2, 3, 3)]
    assert [image for lease in halves for image in lease.entries] == images
    assert bench.store.get(job_id).counts.total == 5
    assert [row["image_count"] for row in shard_rows(bench.engine, job_id)] == [2, 3]


def test_the_culprit_stands_alone_in_the_end(bench: Bench) -> None:
    job_id = ready_job(bench.engine, entries(13), shard_size=13)
    culprit = 9
    rounds = 0
    while bench.store.get(job_id).state is not JobState.COMPLETING:
        bench.clock.advance(1000)
        rounds += 1
        assert rounds < 20
        for lease in claim(bench.queue()):
            if culprit in range(lease.first_ordinal, lease.first_ordinal + len(lease.entries)):
                bench.queue().fail_attempt(lease, "killed")
            else:
                bench.queue().finish(lease, results_of(lease))
    bench.store.complete(job_id)
    job = check_completed(bench.engine, job_id, 13)
    assert (job.counts.scored, job.counts.failed) == (12, 1)
    (failed,) = VerdictStore(bench.engine).failed(job_id)
    assert failed.verdict.ordinal == culprit


def test_a_shard_whose_workers_vanish_is_tried_more_often_and_at_once(bench: Bench) -> None:
    job_id = ready_job(bench.engine, entries(1))
    for attempt in range(1, MAX_VANISHED + 1):
        assert claim_one(bench.queue()).attempt == attempt
        bench.clock.advance(LEASE_S + 1)
        assert bench.queue("another").rescue() == 1
    (row,) = shard_rows(bench.engine, job_id)
    assert (row["state"], row["error"]) == ("failed", "its worker vanished")
    assert check_accounts(bench.engine, job_id).counts.failed == 1


def test_nothing_is_rescued_before_its_time(bench: Bench) -> None:
    prepared(bench, 8)
    claim(bench.queue())
    bench.clock.advance(LEASE_S - 1)
    assert bench.queue().rescue() == 0
    bench.clock.advance(2)
    assert bench.queue().rescue() == 2
    assert bench.queue().rescue() == 0


def test_a_rescue_over_several_jobs(bench: Bench) -> None:
    jobs = [prepared(bench, 8) for _ in range(3)]
    claim(bench.queue())
    bench.store.cancel(jobs[1])
    bench.clock.advance(LEASE_S + 1)
    assert bench.queue().rescue() == 6
    assert [bench.store.get(job).state for job in jobs] == [JobState.RUNNING, JobState.CANCELLED, JobState.RUNNING]


def test_odd_keys_go_through_the_queue_unchanged(bench: Bench) -> None:
    images = [entry("a'b\"c;--.jpg"), entry("é/写真 😀.jpg"), entry("new\nline\t.jpg"), entry("k" * 5000 + ".jpg")]
    job_id = ready_job(bench.engine, images)
    lease = claim_one(bench.queue())
    assert list(lease.entries) == images
    bench.queue().finish(lease, results_of(lease))
    assert [match.verdict.key for match in VerdictStore(bench.engine).of_job(job_id)] == [ref.key for ref in images]


# -- everything at once


def test_rescue_claim_finish_and_cancel_at_once(bench: Bench) -> None:
    """Workers whose leases run out at once, so that rescue and finish meet on the same rows, over several jobs."""
    jobs = [prepared(bench, 24, shard_size=2) for _ in range(3)]
    doomed = jobs[1]
    start = threading.Barrier(4)
    cancelled = threading.Event()

    def work(number: int) -> None:
        queue = WorkQueue(bench.engine, f"worker {number}", bench.clock)
        start.wait()
        for turn in range(5000):  # far more than are needed, also on a busy machine
            leases = queue.claim(2, 0.0 if turn % 3 == number % 3 else LEASE_S, fingerprint=FINGERPRINT)
            if turn == 3 and number == 0:
                bench.store.cancel(doomed)
                cancelled.set()
            queue.rescue()
            bench.clock.advance(20)
            for lease in leases:
                try:
                    queue.finish(lease, results_of(lease))
                except LeaseLost:
                    continue
            if not leases and cancelled.is_set() and all_over(bench, jobs):
                return
        pytest.fail("the work does not end")

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work, number) for number in range(4)]:
            future.result()
    for job_id in jobs:
        if job_id == doomed:
            assert check_accounts(bench.engine, job_id).state is JobState.CANCELLED
            assert "leased" not in {row["state"] for row in shard_rows(bench.engine, job_id)}
        else:
            bench.store.complete(job_id)
            check_completed(bench.engine, job_id, 24)


def all_over(bench: Bench, jobs: list[JobId]) -> bool:
    return all(job_row(bench.engine, job)["state"] in ("completing", "cancelled") for job in jobs)


def test_a_queue_needs_only_its_own_connection(engine: Engine) -> None:
    job_id = ready_job(engine, entries(4))
    lease = claim_one(WorkQueue(engine, "worker"))
    WorkQueue(engine, "another").finish(lease, results_of(lease))
    assert check_accounts(engine, job_id).counts.done == 4
