"""The queue of shards when everything happens at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine
from support.builders import (
    FINGERPRINT,
    Bench,
    check_accounts,
    check_completed,
    entries,
    job_row,
    ready_job,
    results_of,
    shard_rows,
)
from support.queueing import LEASE_S, claim_one, prepared

from jobs.domain import JobId
from jobs.domain.states import JobState
from jobs.errors import LeaseLost
from jobs.shards.work_queue import WorkQueue


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
            leases = queue.claim(2, 0.0 if turn % 3 == number % 3 else LEASE_S, fingerprints=[FINGERPRINT])
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


def test_images_of_one_job_are_set_aside_at_once(bench: Bench) -> None:
    """Each writes verdicts that refer to the job, and then locks it: whoever locked it only then met the others."""
    job_id = prepared(bench, 160, shard_size=1)
    start = threading.Barrier(4)

    def work(number: int) -> None:
        queue = WorkQueue(bench.engine, f"worker {number}", bench.clock)
        start.wait()
        for _ in range(2000):  # far more than are needed, also on a busy machine
            queue.rescue()
            for lease in queue.claim(4, LEASE_S, fingerprints=[FINGERPRINT]):
                queue.fail_attempt(lease, "it breaks off")
            bench.clock.advance(20)
            if all_over(bench, [job_id]):
                return
        pytest.fail("the work does not end")

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work, number) for number in range(4)]:
            future.result()
    assert check_accounts(bench.engine, job_id).counts.failed > 0


def all_over(bench: Bench, jobs: list[JobId]) -> bool:
    return all(job_row(bench.engine, job)["state"] in ("completing", "cancelled", "failed") for job in jobs)


def test_a_queue_needs_only_its_own_connection(engine: Engine) -> None:
    job_id = ready_job(engine, entries(4))
    lease = claim_one(WorkQueue(engine, "worker"))
    WorkQueue(engine, "another").finish(lease, results_of(lease))
    assert check_accounts(engine, job_id).counts.done == 4
