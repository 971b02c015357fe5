"""Deleting jobs: whole, in batches, again after a kill, and never one that is in use."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Engine, func, insert, select
from support.builders import Bench, check_completed, new_job, results_of
from support.queueing import LEASE_S, claim, prepared

from jobs.domain import JobId, JobOptions, Work, WorkKind
from jobs.domain.states import JobState
from jobs.errors import JobNotFound, RequestRefused, WorkLost
from jobs.leased_work.held import HeldWork
from jobs.leased_work.leases import WorkLeases
from jobs.leased_work.task import MAX_SURPRISES, WorkTask
from jobs.lifecycle import deletions
from jobs.lifecycle.deleter import Deleter
from jobs.lifecycle.deletions import Deleted
from jobs.lifecycle.retries import retry_request
from jobs.sql.database import reading, writing
from jobs.sql.tables import jobs, manifest_problems, metadata, shard_entries


def finished(bench: Bench, images: int = 40, **fields: object) -> JobId:
    job_id = prepared(bench, images, **fields)
    for lease in claim(bench.queue(), job_id=job_id):
        bench.queue().finish(lease, results_of(lease))
    bench.store.complete(job_id)
    return job_id


def claimed(bench: Bench, job_id: JobId) -> Work:
    """The deletion of this job, in somebody's hands."""
    bench.store.begin_deletion(job_id)
    (work,) = bench.store.work.claim(WorkKind.DELETION, 1, LEASE_S, job_id=job_id)
    return work


def rows_left(engine: Engine, job_id: str) -> dict[str, int]:
    """Rows by table that name the job."""
    with reading(engine) as connection:
        counts = {
            table.name: connection.execute(
                select(func.count()).select_from(table).where(table.c["id" if table is jobs else "job_id"] == job_id)
            ).scalar_one()
            for table in metadata.tables.values()
            if table is jobs or "job_id" in table.c
        }
    return {name: count for name, count in counts.items() if count}


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletions, "_VERDICTS", 15)
    monkeypatch.setattr(deletions, "_SHARDS", 3)


def test_a_job_goes_in_batches_and_leaves_nothing(bench: Bench) -> None:
    job_id = finished(bench, options=JobOptions(webhook="https://example.org/hook"))
    other = finished(bench)
    with writing(bench.engine) as connection:
        connection.execute(insert(manifest_problems).values(job_id=job_id, line=3, reason="odd"))
    assert bench.store.begin_deletion(job_id).state is JobState.DELETING
    steps = list(bench.store.delete(claimed(bench, job_id)))
    assert [step.verdicts for step in steps if step.verdicts] == [15, 15, 10]
    assert [step.shards for step in steps if step.shards] == [3, 3, 3, 1]
    assert rows_left(bench.engine, job_id) == {}
    with pytest.raises(JobNotFound):
        bench.store.begin_deletion(job_id)
    check_completed(bench.engine, other, 40)
    with reading(bench.engine) as connection:
        assert connection.execute(select(func.count()).select_from(shard_entries)).scalar_one() == 10


@pytest.mark.parametrize("survived", range(8))
def test_a_deletion_that_is_killed_is_taken_up_by_another(bench: Bench, survived: int) -> None:
    job_id = finished(bench)
    killed = bench.store.delete(claimed(bench, job_id))
    for _ in range(survived):
        next(killed, None)
    assert bench.store.get(job_id).state is JobState.DELETING
    assert bench.store.begin_deletion(job_id).state is JobState.DELETING  # asking again takes it from nobody
    assert bench.store.work.claim(WorkKind.DELETION, 1, LEASE_S) == []
    bench.clock.advance(LEASE_S + 1)
    (work,) = bench.store.work.claim(WorkKind.DELETION, 1, LEASE_S)
    with pytest.raises(WorkLost):
        list(killed)
    gone = sum(step.verdicts for step in bench.store.delete(work))
    assert gone == max(0, 40 - 15 * survived)
    assert rows_left(bench.engine, job_id) == {}


def test_a_dispatcher_finishes_what_the_command_began(bench: Bench) -> None:
    job_id = finished(bench, options=JobOptions(webhook="https://example.org/hook"))
    bench.store.begin_deletion(job_id)
    told: list[Deleted] = []
    task = WorkTask(Deleter(bench.store, told.append), HeldWork(WorkLeases(bench.engine, bench.clock)))
    assert task.step(threading.Event())
    assert sum(some.verdicts for some in told) == 40
    assert rows_left(bench.engine, job_id) == {}
    assert not task.step(threading.Event())


def test_a_deletion_that_is_stopped_goes_on_at_once(bench: Bench) -> None:
    job_id = finished(bench)
    bench.store.begin_deletion(job_id)
    stop = threading.Event()
    task = WorkTask(Deleter(bench.store, lambda some: stop.set()), HeldWork(WorkLeases(bench.engine, bench.clock)))
    assert task.step(stop)
    assert bench.store.left_to_delete(job_id) == Deleted(verdicts=25, shards=10)
    stop.clear()
    assert [bool(bench.store.work.claim(WorkKind.DELETION, 1, LEASE_S))] == [True]


def test_one_that_goes_wrong_says_why_and_is_tried_again_when_asked(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = finished(bench)
    bench.store.begin_deletion(job_id)
    held = HeldWork(WorkLeases(bench.engine, bench.clock))

    def broken(work: Work) -> None:
        raise RuntimeError("odd")

    with monkeypatch.context() as patched:
        patched.setattr(bench.store, "delete", broken)
        for _ in range(MAX_SURPRISES):
            assert WorkTask(Deleter(bench.store), held).step(threading.Event())
            bench.clock.advance(3600)
    assert bench.store.deletion_failed(job_id) == bench.store.waits_for(job_id) == "RuntimeError: odd"
    assert not WorkTask(Deleter(bench.store), held).step(threading.Event())
    bench.store.begin_deletion(job_id)
    assert bench.store.deletion_failed(job_id) is None
    assert WorkTask(Deleter(bench.store), held).step(threading.Event())
    assert rows_left(bench.engine, job_id) == {}


def test_a_job_that_is_in_use_is_not_deleted(bench: Bench) -> None:
    waiting = bench.store.submit(new_job())
    running = prepared(bench, 8)
    claim(bench.queue(), 1, job_id=running)
    paused = prepared(bench, 8)
    bench.store.pause(paused)
    for job_id in (waiting, running, paused):
        with pytest.raises(RequestRefused, match="it is not over; cancel it first"):
            bench.store.begin_deletion(job_id)
    bench.store.cancel(waiting)
    bench.store.begin_deletion(waiting)
    reported = prepared(bench, 8, options=JobOptions(report="s3://reports/"))
    bench.store.cancel(reported)
    with pytest.raises(RequestRefused, match="completion report is still to be written"):
        bench.store.begin_deletion(reported)
    earlier = finished(bench)
    retry = bench.store.submit(retry_request(bench.store.get(earlier)))
    with pytest.raises(RequestRefused, match=f"job {retry} is about to take its failed images"):
        bench.store.begin_deletion(earlier)
    bench.store.cancel(retry)
    bench.store.begin_deletion(earlier)


def test_nobody_uses_a_job_that_is_being_deleted(bench: Bench) -> None:
    job_id = finished(bench, options=JobOptions(webhook="https://example.org/hook"))
    told = rows_left(bench.engine, job_id)["webhook_deliveries"]
    ended = bench.store.get(job_id).finished_at
    job = bench.store.begin_deletion(job_id)
    assert job.finished_at == ended
    for ask in (bench.store.pause, bench.store.resume, lambda job_id: bench.store.prioritize(job_id, 1)):
        with pytest.raises(RequestRefused):
            ask(job_id)
    assert bench.store.cancel(job_id).state is JobState.DELETING
    with pytest.raises(RequestRefused, match="being deleted"):
        retry_request(bench.store.get(job_id))
    assert claim(bench.queue()) == []
    assert rows_left(bench.engine, job_id)["webhook_deliveries"] == told
