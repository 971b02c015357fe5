"""Pause, resume and cancel at the borders of shards."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import update
from support.builders import Bench, check_accounts, check_completed, entries, new_job, results_of, shard_rows
from support.queueing import LEASE_S, claim, prepared

from jobs.domain import JobOptions
from jobs.domain.states import JobState
from jobs.errors import JobNotFound, NotAwaitingConfirmation, RequestRefused, WorkLost
from jobs.leased_work.held import HeldWork
from jobs.leased_work.leases import WorkLeases
from jobs.leased_work.task import WorkTask
from jobs.lifecycle.preparation_leases import Preparation
from jobs.lifecycle.retries import retry_request
from jobs.preparation.preparer import Preparer
from jobs.sql.database import writing
from jobs.sql.tables import jobs


def states(bench: Bench, job_id: str) -> list[object]:
    return [row["state"] for row in shard_rows(bench.engine, job_id)]  # type: ignore[arg-type]


def test_pausing_lets_what_is_leased_finish_and_gives_out_nothing_more(bench: Bench) -> None:
    bench.clock.stop()
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


# -- while it is being prepared


def preparing(bench: Bench, **fields: object) -> Preparation:
    """A job of which one shard is frozen, in somebody's hands."""
    bench.store.submit(new_job(**fields))
    preparation = bench.store.claim_preparation(60)
    assert preparation is not None
    bench.store.extend_preparation(preparation, 60, shard=entries(4), cursor={"after": "000003.png"})
    return preparation


def test_pausing_stops_who_prepares_and_holds_through_the_end_of_preparing(bench: Bench) -> None:
    held = preparing(bench)
    job_id = held.job.id
    assert bench.store.pause(job_id).state is JobState.PAUSED
    for late in (
        lambda: bench.store.extend_preparation(held, 60, shard=entries(4, first=4), first_ordinal=4),
        lambda: bench.store.finish_preparation(held, ignored=0),
        lambda: bench.store.fail_preparation(held, "odd"),
        lambda: bench.store.rest_preparation(held, 1, "away"),
    ):
        with pytest.raises(WorkLost):
            late()
    bench.clock.advance(LEASE_S + 1)
    assert bench.store.claim_preparation(60) is None
    assert claim(bench.queue()) == []
    job = bench.store.get(job_id)
    assert (job.state, job.counts.total, job.error) == (JobState.PAUSED, 4, None)


def test_preparing_goes_on_where_it_was_when_it_is_resumed(bench: Bench) -> None:
    job_id = preparing(bench, options=JobOptions(priority=3)).job.id
    assert bench.store.pause(job_id) == bench.store.pause(job_id)
    assert bench.store.resume(job_id).state is JobState.PREPARING
    assert bench.store.resume(job_id).state is JobState.PREPARING
    again = bench.store.claim_preparation(60)
    assert again is not None
    assert (again.cursor, again.job.counts.total) == ({"after": "000003.png"}, 4)
    bench.store.extend_preparation(again, 60, shard=entries(4, first=4), first_ordinal=4)
    bench.store.finish_preparation(again, ignored=0)
    assert bench.store.get(job_id).state is JobState.READY
    assert bench.store.pause(job_id).state is JobState.PAUSED
    assert bench.store.resume(job_id).state is JobState.RUNNING
    for lease in claim(bench.queue()):
        bench.queue().finish(lease, results_of(lease))
    bench.store.complete(job_id)
    check_completed(bench.engine, job_id, 8)


def test_who_had_it_before_the_pause_has_lost_it_after_it(bench: Bench) -> None:
    held = preparing(bench)
    bench.store.pause(held.job.id)
    bench.store.resume(held.job.id)
    with pytest.raises(WorkLost):
        bench.store.finish_preparation(held, ignored=0)
    assert bench.store.get(held.job.id).state is JobState.PREPARING


def test_what_nobody_began_to_prepare_is_paused_and_cancelled(bench: Bench) -> None:
    job_id = bench.store.submit(new_job())
    assert bench.store.pause(job_id).state is JobState.PAUSED
    assert bench.store.claim_preparation(60) is None
    assert bench.store.cancel(job_id).state is JobState.CANCELLED
    held = preparing(bench)
    bench.store.pause(held.job.id)
    assert bench.store.cancel(held.job.id).state is JobState.CANCELLED
    assert states(bench, held.job.id) == ["cancelled"]
    with pytest.raises(RequestRefused):
        bench.store.resume(held.job.id)


def test_a_person_is_asked_after_the_pause_not_by_it(bench: Bench) -> None:
    held = preparing(bench, options=JobOptions(confirm=True))
    bench.store.pause(held.job.id)
    with pytest.raises(NotAwaitingConfirmation):
        bench.store.confirm(held.job.id)
    bench.store.resume(held.job.id)
    again = bench.store.claim_preparation(60)
    assert again is not None
    bench.store.finish_preparation(again, ignored=0)
    assert bench.store.get(held.job.id).state is JobState.AWAITING_CONFIRMATION
    assert bench.store.confirm(held.job.id).state is JobState.READY
    bench.store.pause(held.job.id)
    assert bench.store.confirm(held.job.id).state is JobState.PAUSED


def test_a_paused_retry_keeps_what_it_is_about_to_take(bench: Bench) -> None:
    earlier = prepared(bench, 4)
    (lease,) = claim(bench.queue())
    bench.queue().finish(lease, results_of(lease))
    bench.store.complete(earlier)
    retry = bench.store.submit(retry_request(bench.store.get(earlier)))
    bench.store.pause(retry)
    with pytest.raises(RequestRefused, match=f"job {retry} is about to take its failed images"):
        bench.store.begin_deletion(earlier)


def test_a_preparer_at_work_stops_at_its_next_look_and_goes_on_later(bench: Bench) -> None:
    """The whole of it: the listing is paused half-way, nothing is listed meanwhile, nothing is lost or doubled."""
    job_id = bench.submit(40)
    bench.store.extend_preparation = _pausing_after(bench, 2)  # type: ignore[method-assign]
    held = HeldWork(WorkLeases(bench.engine, bench.clock))
    task = WorkTask(Preparer(bench.store, bench.open), held)
    stop = threading.Event()
    assert task.step(stop)
    assert bench.store.get(job_id).state is JobState.PAUSED
    assert not task.step(stop)
    frozen = bench.store.get(job_id).counts.total
    assert 0 < frozen < 40
    bench.store.resume(job_id)
    assert task.step(stop)
    assert bench.store.get(job_id).state is JobState.READY
    for lease in claim(bench.queue()):
        bench.queue().finish(lease, results_of(lease))
    bench.store.complete(job_id)
    check_completed(bench.engine, job_id, 40)


def _pausing_after(bench: Bench, shards: int) -> Any:
    """Somebody pauses the job behind its second shard."""
    extend, written = bench.store.extend_preparation, []

    def extended(preparation: Preparation, *args: Any, **kwargs: Any) -> None:
        extend(preparation, *args, **kwargs)
        written.append(kwargs.get("shard"))
        if len(list(filter(None, written))) == shards:
            bench.store.pause(preparation.job.id)

    return extended


@pytest.mark.parametrize(
    ("verb", "state", "why"),
    [
        ("pause", JobState.COMPLETED, "it is over"),
        ("pause", JobState.CANCELLING, "it is over"),
        ("pause", JobState.AWAITING_CONFIRMATION, "nothing of it runs before it is confirmed"),
        ("pause", JobState.COMPLETING, "every shard of it is done already"),
        ("resume", JobState.FAILED, "it is over"),
        ("resume", JobState.AWAITING_CONFIRMATION, "it was not paused"),
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
