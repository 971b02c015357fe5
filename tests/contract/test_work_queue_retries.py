"""The queue of shards: given back, tried again, divided, set aside, rescued."""

from __future__ import annotations

from support.builders import (
    Bench,
    check_accounts,
    check_completed,
    entries,
    entry,
    ready_job,
    results_of,
    shard_rows,
)
from support.queueing import LEASE_S, claim, claim_one, prepared

from jobs.domain import FailureThreshold, JobOptions
from jobs.domain.shards import MAX_ATTEMPTS
from jobs.domain.states import JobState
from jobs.errors import ErrorCode
from jobs.shards.dividing import MAX_VANISHED
from jobs.shards.work_queue import RETRY_AFTER_S
from jobs.verdicts import VerdictFilter, VerdictStore

#: never gives up, however much fails
GOES_ON = JobOptions(failure_threshold=FailureThreshold(ratio=1.0))


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
    bench.clock.stop()
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
    job_id = ready_job(bench.engine, entries(1), options=GOES_ON)
    use_up(bench)
    assert bench.store.get(job_id).state is JobState.COMPLETING
    bench.store.complete(job_id)
    job = check_completed(bench.engine, job_id, 1)
    assert job.counts.failed == 1
    (match,) = VerdictStore(bench.engine).stream(VerdictFilter(job_id=job_id, failed=True))
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
    (failed,) = VerdictStore(bench.engine).stream(VerdictFilter(job_id=job_id, failed=True))
    assert failed.verdict.ordinal == culprit


def test_a_shard_whose_workers_vanish_is_tried_more_often_and_at_once(bench: Bench) -> None:
    job_id = ready_job(bench.engine, entries(1))
    for vanished in range(MAX_VANISHED):
        lease = claim_one(bench.queue())
        assert (lease.attempt, lease.vanished) == (1, vanished)
        assert bench.queue().heartbeat([lease], LEASE_S) == []  # its worker had begun
        bench.clock.advance(LEASE_S + 1)
        assert bench.queue("another").rescue() == 1
    (row,) = shard_rows(bench.engine, job_id)
    assert (row["state"], row["error"]) == ("failed", "its worker vanished")
    assert check_accounts(bench.engine, job_id).counts.failed == 1


def test_a_shard_that_nobody_had_begun_with_costs_nothing_however_often(bench: Bench) -> None:
    """A dispatcher that claims and dies, or is frozen, before a worker has it."""
    ready_job(bench.engine, entries(1))
    for _ in range(3 * MAX_VANISHED):
        lease = claim_one(bench.queue())
        assert (lease.attempt, lease.vanished) == (1, 0)
        assert bench.queue().heartbeat([lease], LEASE_S, started=()) == []
        bench.clock.advance(LEASE_S + 1)
        assert bench.queue("another").rescue() == 1


def test_failed_and_vanished_attempts_are_counted_apart(bench: Bench) -> None:
    """Found 7: an outage met at the first attempt, two rescues, and the third attempt was the last."""
    job_id = prepared(bench, 4)
    for _ in range(MAX_ATTEMPTS + 2):
        lease = claim_one(bench.queue())
        bench.queue().heartbeat([lease], LEASE_S)
        bench.clock.advance(LEASE_S + 1)
        assert bench.queue("another").rescue() == 1
    bench.queue().vanished(claim_one(bench.queue()), "its worker was killed")
    bench.clock.advance(1000)
    lease = claim_one(bench.queue())
    assert (lease.attempt, lease.vanished) == (1, MAX_ATTEMPTS + 3)
    assert lease.suspect
    bench.queue().release(lease, "the storage is away")
    bench.queue().fail_attempt(claim_one(bench.queue()), "odd")
    (row,) = shard_rows(bench.engine, job_id)
    assert (row["attempt"], row["vanished"], row["state"]) == (1, MAX_ATTEMPTS + 3, "queued")


def test_a_shard_that_kills_its_workers_is_cut_in_two_in_the_end(bench: Bench) -> None:
    ready_job(bench.engine, entries(4), shard_size=4)
    for _ in range(MAX_VANISHED):
        bench.clock.advance(1000)
        bench.queue().vanished(claim_one(bench.queue()), "killed")
    bench.clock.advance(1000)
    halves = claim(bench.queue())
    assert [(lease.first_ordinal, lease.attempt, lease.vanished) for lease in halves] == [
        (0, 1, MAX_VANISHED - 1),
        (2, 1, MAX_VANISHED - 1),
    ]


def test_nothing_is_rescued_before_its_time(bench: Bench) -> None:
    bench.clock.stop()
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
