"""Pause, resume and cancel at the borders of shards."""

from __future__ import annotations

import pytest
from sqlalchemy import update
from support.builders import Bench, check_accounts, check_completed, entries, new_job, results_of, shard_rows
from support.queueing import LEASE_S, claim, prepared

from jobs.domain.states import JobState
from jobs.errors import JobNotFound, RequestRefused
from jobs.sql.database import writing
from jobs.sql.tables import jobs


def states(bench: Bench, job_id: str) -> list[object]:
    return [row["state"] for row in shard_rows(bench.engine, job_id)]  # type: ignore[arg-type]


def test_pausing_lets_what_is_leased_finish_and_gives_out_nothing_more(bench: Bench) -> None:
    job_id = prepared(bench, 16)
    first, second = claim(bench.queue(), 2)
    assert bench.store.pause(job_id).state is JobState.PAUSING
    assert claim(bench.queue()) == []
    bench.clock.advance(LEASE_S - 1)
    assert bench.queue().heartbeat([first, second], LEASE_S) == []
    bench.clock.advance(LEASE_S - 1)
    assert bench.queue().rescue() == 0
    assert bench.queue().finish(first, results_of(first)) is JobState.PAUSING
    assert bench.queue().finish(second, results_of(second)) is JobState.PAUSED
    assert claim(bench.queue()) == []
    assert check_accounts(bench.engine, job_id).counts.done == 8
    assert states(bench, job_id) == ["done", "done", "queued", "queued"]

    assert bench.store.resume(job_id).state is JobState.RUNNING
    for lease in claim(bench.queue()):
        bench.queue().finish(lease, results_of(lease))
    bench.store.complete(job_id)
    check_completed(bench.engine, job_id, 16)


@pytest.mark.parametrize("how", ["released", "failed", "vanished"])
def test_a_shard_that_is_not_finished_goes_back_and_the_job_is_paused(bench: Bench, how: str) -> None:
    job_id = prepared(bench, 4)
    (lease,) = claim(bench.queue())
    bench.store.pause(job_id)
    if how == "released":
        bench.queue().release(lease)
    elif how == "failed":
        bench.queue().fail_attempt(lease, "odd")
    else:
        bench.clock.advance(LEASE_S + 1)
        bench.queue("another").rescue()
    assert bench.store.get(job_id).state is JobState.PAUSED
    assert states(bench, job_id) == ["queued"]


def test_a_job_nobody_works_on_is_paused_at_once_and_starts_when_it_is_resumed(bench: Bench) -> None:
    job_id = prepared(bench, 4)
    assert bench.store.pause(job_id).state is JobState.PAUSED
    assert bench.store.resume(job_id).started_at is None
    claim(bench.queue())
    assert bench.store.get(job_id).started_at is not None


def test_the_last_shard_of_a_pausing_job_completes_it(bench: Bench) -> None:
    job_id = prepared(bench, 4)
    (lease,) = claim(bench.queue())
    bench.store.pause(job_id)
    assert bench.queue().finish(lease, results_of(lease)) is JobState.COMPLETING


def test_a_pausing_job_may_be_resumed_before_it_is_paused(bench: Bench) -> None:
    job_id = prepared(bench, 8)
    (lease,) = claim(bench.queue(), 1)
    bench.store.pause(job_id)
    assert bench.store.resume(job_id).state is JobState.RUNNING
    assert bench.queue().finish(lease, results_of(lease)) is JobState.RUNNING


def test_asking_twice_is_asking_once(bench: Bench) -> None:
    job_id = prepared(bench, 4)
    assert bench.store.pause(job_id) == bench.store.pause(job_id)
    assert bench.store.resume(job_id) == bench.store.resume(job_id)


def test_a_paused_job_can_be_cancelled(bench: Bench) -> None:
    job_id = prepared(bench, 4)
    bench.store.pause(job_id)
    assert bench.store.cancel(job_id).state is JobState.CANCELLED


@pytest.mark.parametrize(
    ("verb", "state", "why"),
    [
        ("pause", JobState.COMPLETED, "it is over"),
        ("pause", JobState.CANCELLING, "it is over"),
        ("pause", JobState.PREPARING, "it can be paused once it is ready"),
        ("pause", JobState.AWAITING_CONFIRMATION, "nothing of it runs before it is confirmed"),
        ("pause", JobState.COMPLETING, "every shard of it is done already"),
        ("resume", JobState.FAILED, "it is over"),
        ("resume", JobState.PREPARING, "it was not paused"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(bench: Bench, verb: str, state: JobState, why: str) -> None:
    job_id = bench.store.submit(new_job())
    with writing(bench.engine) as connection:
        connection.execute(update(jobs).values(state=state.value))
    with pytest.raises(RequestRefused) as refused:
        getattr(bench.store, verb)(job_id)
    assert str(refused.value) == f"cannot {verb} job {job_id}, which is {state}: {why}"
    assert bench.store.get(job_id).state is state
    with pytest.raises(JobNotFound):
        getattr(bench.store, verb)("nobody")


# -- what is left in the queue when a job ends


@pytest.mark.parametrize("ending", ["cancel", "fail"])
def test_shards_of_a_job_that_is_over_wait_no_longer(bench: Bench, ending: str) -> None:
    job_id, other = prepared(bench, 16), prepared(bench, 4)
    first, second = claim(bench.queue(), 2)
    assert {first.job_id, second.job_id} == {job_id, other}
    mine = first if first.job_id == job_id else second
    bench.store.cancel(job_id) if ending == "cancel" else bench.store.fail(job_id, "why")
    assert states(bench, job_id) == ["leased", "queued", "queued", "queued"]
    bench.queue().release(mine)
    assert states(bench, job_id) == ["cancelled"] * 4
    assert states(bench, other) == ["leased"]


def test_shards_of_a_preparation_that_was_cancelled_wait_no_longer(bench: Bench) -> None:
    job_id = bench.store.submit(new_job())
    preparation = bench.store.claim_preparation(60)
    assert preparation is not None
    bench.store.extend_preparation(preparation, 60, shard=entries(4))
    bench.store.cancel(job_id)
    assert states(bench, job_id) == ["cancelled"]
