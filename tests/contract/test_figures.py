"""Figures for those who run it: counted by the database, against a bench made by hand."""

from __future__ import annotations

import pytest
from support.builders import FINGERPRINT, Bench, entries, new_job, ready_job, results_of, scored, unreadable
from support.queueing import claim

from jobs.domain import WorkKind
from jobs.operations.figures import figures
from jobs.retraining.run_store import RunStore


@pytest.fixture(autouse=True)
def still(bench: Bench) -> None:
    """Ages are compared by the second."""
    bench.clock.stop()


def test_figures_are_those_of_the_database(bench: Bench) -> None:
    done = ready_job(bench.engine, entries(8), shard_size=4)
    first, second = claim(bench.queue(), job_id=done)
    bench.queue().finish(first, results_of(first))
    bench.queue().finish(second, [unreadable(4, second.entries[0]), *results_of(second)[1:]])
    bench.store.complete(done)
    waiting = ready_job(bench.engine, entries(12), shard_size=4)
    (held,) = claim(bench.queue(), 1, job_id=waiting)
    bench.clock.advance(30)
    found = figures(bench.engine, bench.clock)
    assert found.jobs == {"completed": 1, "running": 1}
    assert found.images["waiting"] == 12
    assert (found.images["scored"], found.images["failed"], found.images["flagged"]) == (7, 1, 0)
    assert found.shards == {"queued": 2, "leased": 1, "expired": 0}
    assert found.oldest_job_s == pytest.approx(30, abs=1)
    bench.clock.advance(60)
    assert figures(bench.engine, bench.clock).shards["expired"] == 1
    assert held.model.fingerprint == FINGERPRINT


def test_an_empty_database_has_figures_too(bench: Bench) -> None:
    found = figures(bench.engine, bench.clock)
    assert (found.jobs, found.oldest_job_s, found.unreviewed, found.dispatchers) == ({}, 0.0, 0, 0)
    assert found.images == {"scored": 0, "reused": 0, "failed": 0, "flagged": 0, "waiting": 0}
    assert found.recorded == {"scored": 0, "reused": 0, "failed": 0}
    ages = (found.queue_age_s, found.overdue_lease_s, found.oldest_unreviewed_s, found.oldest_run_s)
    assert ages == (0.0, 0.0, 0.0, 0.0)
    assert set(found.retries.values()) == {0}


def test_what_was_recorded_never_falls(bench: Bench) -> None:
    job_id = ready_job(bench.engine, entries(4))
    (lease,) = claim(bench.queue(), job_id=job_id)
    bench.queue().finish(lease, [unreadable(0, lease.entries[0]), *results_of(lease)[1:]])
    bench.store.complete(job_id)
    before = figures(bench.engine, bench.clock)
    assert before.recorded == {"scored": 3, "reused": 0, "failed": 1}
    bench.store.begin_deletion(job_id)
    (work,) = bench.store.work.claim(WorkKind.DELETION, 1, 60)
    list(bench.store.delete(work))
    after = figures(bench.engine, bench.clock)
    assert after.images["scored"] == 0
    assert after.recorded == before.recorded


def test_the_queue_ages_while_nobody_takes_a_turn(bench: Bench) -> None:
    job_id = ready_job(bench.engine, entries(8), shard_size=4, clock=bench.clock)
    bench.clock.advance(100)
    assert figures(bench.engine, bench.clock).queue_age_s == pytest.approx(100, abs=2)
    (lease,) = claim(bench.queue(), 1, job_id=job_id)
    assert figures(bench.engine, bench.clock).queue_age_s == pytest.approx(0, abs=2)
    (last,) = claim(bench.queue(), 1, job_id=job_id)
    bench.clock.advance(1000)
    assert figures(bench.engine, bench.clock).queue_age_s == 0, "nothing of it waits"
    bench.queue().release(last)
    assert figures(bench.engine, bench.clock).queue_age_s == pytest.approx(1000, abs=2)
    bench.store.pause(job_id)
    assert figures(bench.engine, bench.clock).queue_age_s == 0, "a person wants it to wait"
    assert lease.job_id == job_id


def test_leases_that_ran_out_are_seen_until_they_are_taken_back_and_counted_then(bench: Bench) -> None:
    job_id = ready_job(bench.engine, entries(8), shard_size=4)
    claim(bench.queue(), 2, job_id=job_id)
    bench.clock.advance(100)
    assert figures(bench.engine, bench.clock).overdue_lease_s == pytest.approx(40, abs=2)
    assert bench.queue().rescue() == 2
    found = figures(bench.engine, bench.clock)
    assert found.overdue_lease_s == 0
    assert found.retries["shard", "expired"] == 2


def test_attempts_in_vain_are_counted_by_their_reason(bench: Bench) -> None:
    job_id = ready_job(bench.engine, entries(8), shard_size=4)
    first, second = claim(bench.queue(), 2, job_id=job_id)
    bench.queue().fail_attempt(first, "it broke")
    bench.queue().fail_attempt(first, "it was lost by then")
    bench.queue().vanished(second, "its worker died")
    bench.store.submit(new_job())
    work_before = bench.store.work.claim(WorkKind.PREPARATION, 1, 60)
    bench.clock.advance(61)
    (again,) = bench.store.work.claim(WorkKind.PREPARATION, 1, 60)
    bench.store.work.fail(again, "no", again_after_s=1.0)
    found = figures(bench.engine, bench.clock).retries
    assert {key: count for key, count in found.items() if count} == {
        ("shard", "failed"): 1,
        ("shard", "vanished"): 1,
        ("preparation", "expired"): 1,
        ("preparation", "failed"): 1,
    }
    assert len(work_before) == 1


def test_the_age_of_what_is_to_be_reviewed(bench: Bench) -> None:
    job_id = ready_job(bench.engine, entries(4), clock=bench.clock)
    (lease,) = claim(bench.queue(), job_id=job_id)
    bench.queue().finish(lease, [scored(0, lease.entries[0], 0.9), *results_of(lease)[1:]])
    bench.clock.advance(3600)
    found = figures(bench.engine, bench.clock)
    assert (found.unreviewed, found.oldest_unreviewed_s) == (1, pytest.approx(3600, abs=2))


def test_the_age_of_a_run(bench: Bench) -> None:
    store = RunStore(bench.engine, bench.clock)
    store.create({})
    bench.clock.advance(50)
    found = figures(bench.engine, bench.clock)
    assert (found.runs, found.oldest_run_s) == ({"queued": 1}, pytest.approx(50, abs=2))


def test_jobs_that_met_something_are_seen_while_they_wait(bench: Bench) -> None:
    job_id = ready_job(bench.engine, entries(12), shard_size=4)
    first, second = claim(bench.queue(), 2, job_id=job_id)
    assert figures(bench.engine, bench.clock).held_up == 0
    bench.queue().release(first, "the storage does not answer")
    bench.queue().release(second)
    assert figures(bench.engine, bench.clock).held_up == 1
    (again,) = claim(bench.queue(), 1, job_id=job_id)
    bench.queue().finish(again, results_of(again))
    assert figures(bench.engine, bench.clock).held_up == 0
    preparing = bench.store.submit(new_job())
    work = bench.store.claim_preparation(60, preparing)
    assert work is not None
    bench.store.rest_preparation(work, 1.0, "it is away")
    assert figures(bench.engine, bench.clock).held_up == 1
    bench.store.cancel(preparing)
    assert figures(bench.engine, bench.clock).held_up == 0
