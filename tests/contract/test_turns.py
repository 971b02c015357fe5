"""Several jobs at once: the more urgent first, the others in turns, however many wait."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy import event, insert
from support.builders import FINGERPRINT, MODEL, Bench, check_completed, job_row, new_job, results_of
from support.queueing import LEASE_S, claim, claim_one, prepared

from jobs.domain import JobId, JobOptions, ModelRef
from jobs.errors import JobNotFound, RequestRefused
from jobs.sql.database import writing
from jobs.sql.tables import jobs, shards


def urgent(priority: int) -> JobOptions:
    return JobOptions(priority=priority)


def turns(bench: Bench, count: int) -> list[JobId]:
    """Whose shards come, one claim at a time."""
    return [claim_one(bench.queue()).job_id for _ in range(count)]


def test_the_more_urgent_job_goes_first_until_nothing_of_it_waits(bench: Bench) -> None:
    plain, urgent_one, low = (
        prepared(bench, 8),
        prepared(bench, 8, options=urgent(5)),
        prepared(bench, 8, options=urgent(-1)),
    )
    assert turns(bench, 6) == [urgent_one, urgent_one, plain, plain, low, low]
    assert claim(bench.queue()) == []


def test_equals_take_turns_so_that_a_late_small_job_starts_at_once(bench: Bench) -> None:
    large = prepared(bench, 400)
    assert turns(bench, 5) == [large] * 5
    small = prepared(bench, 12)
    assert turns(bench, 8) == [small, large, small, large, small, large, large, large]


def test_a_claim_of_several_shares_them_out_and_gives_what_is_left_to_the_others(bench: Bench) -> None:
    large, small, medium = prepared(bench, 400), prepared(bench, 4), prepared(bench, 12)
    assert Counter(lease.job_id for lease in claim(bench.queue(), 9)) == {large: 5, small: 1, medium: 3}
    assert Counter(lease.job_id for lease in claim(bench.queue(), 9)) == {large: 9}


def test_what_equals_leave_goes_to_the_less_urgent_only_when_no_equal_wants_it(bench: Bench) -> None:
    long, short = prepared(bench, 40, options=urgent(3)), prepared(bench, 4, options=urgent(3))
    low = prepared(bench, 40)
    assert Counter(lease.job_id for lease in claim(bench.queue(), 8)) == {long: 7, short: 1}
    assert Counter(lease.job_id for lease in claim(bench.queue(), 8)) == {long: 3, low: 5}


def test_turns_and_priorities_hold_across_models(bench: Bench) -> None:
    other = ModelRef(name="other", fingerprint="cd" * 32)
    mine, theirs = prepared(bench, 40), prepared(bench, 40, model=other)
    third = prepared(bench, 4, model=ModelRef(name="third", fingerprint="ef" * 32))
    both = [FINGERPRINT, other.fingerprint]

    def take(limit: int) -> Counter[JobId]:
        return Counter(lease.job_id for lease in bench.queue().claim(limit, LEASE_S, fingerprints=both))

    assert take(6) == {mine: 3, theirs: 3}
    bench.store.prioritize(theirs, 5)
    assert take(3) == {theirs: 3}
    assert bench.queue().claim(3, LEASE_S, fingerprints=[]) == []
    assert take(99) == {theirs: 4, mine: 7}
    assert job_row(bench.engine, third)["state"] == "ready"


def test_the_priority_may_change_while_the_job_runs(bench: Bench) -> None:
    first, second = prepared(bench, 40), prepared(bench, 40)
    assert sorted(turns(bench, 2)) == sorted([first, second])
    assert bench.store.prioritize(second, 7).options.priority == 7
    assert turns(bench, 3) == [second] * 3
    bench.store.prioritize(second, -7)
    assert turns(bench, 3) == [first] * 3


def test_the_more_urgent_job_is_prepared_first(bench: Bench) -> None:
    bench.store.submit(new_job())
    second = bench.store.submit(new_job(options=urgent(1)))
    preparation = bench.store.claim_preparation(60)
    assert preparation is not None
    assert preparation.job.id == second


def test_a_job_that_is_over_has_no_priority_any_more(bench: Bench) -> None:
    job_id = prepared(bench, 4)
    bench.store.cancel(job_id)
    with pytest.raises(RequestRefused, match=f"cannot prioritize job {job_id}, which is cancelled: it is over"):
        bench.store.prioritize(job_id, 1)
    with pytest.raises(JobNotFound):
        bench.store.prioritize("nobody", 1)


def test_a_job_without_waiting_shards_keeps_nobody_else_waiting(bench: Bench) -> None:
    """More of them than a page of jobs has."""
    held = [prepared(bench, 4, options=urgent(9)) for _ in range(40)]
    assert {lease.job_id for lease in claim(bench.queue(), 40)} == set(held)
    last = prepared(bench, 4)
    assert turns(bench, 1) == [last]


def test_two_dispatchers_over_several_jobs_never_meet_on_a_shard_nor_wait_for_each_other(bench: Bench) -> None:
    """Claims of several shards over several jobs, against finishes, changes of priority and pauses."""
    ids = [prepared(bench, 48, shard_size=2) for _ in range(4)]
    start = threading.Barrier(5)
    got: list[int] = []
    over = threading.Event()

    def work(number: int) -> None:
        queue = bench.queue(f"worker {number}")
        start.wait()
        deadline = time.monotonic() + 60
        while not all(job_row(bench.engine, job)["state"] == "completing" for job in ids):
            assert time.monotonic() < deadline, "the work does not end"
            leases = claim(queue, 5)
            got.extend(int(lease.shard_id) for lease in leases)
            assert queue.heartbeat(leases, LEASE_S) == []
            for lease in leases:
                queue.finish(lease, results_of(lease))

    def meddle() -> None:
        start.wait()
        turn = 0
        while not over.wait(0.005):
            turn += 1
            bench.store.prioritize(ids[turn % 4], turn % 3)
            if job_row(bench.engine, ids[turn % 4])["state"] == "running":
                with suppress(RequestRefused):  # its last shard was finished meanwhile
                    bench.store.pause(ids[turn % 4])
                    bench.store.resume(ids[turn % 4])

    with ThreadPoolExecutor(5) as pool:
        workers = [pool.submit(work, number) for number in range(4)]
        meddler = pool.submit(meddle)
        try:
            for worker in workers:
                worker.result()
        finally:
            over.set()
        meddler.result()
    assert len(got) == len(set(got)) == 96
    for job_id in ids:
        bench.store.complete(job_id)
        check_completed(bench.engine, job_id, 48)


def crowd(bench: Bench, count: int) -> None:
    """Many jobs that wait, each with shards."""
    row = {"state": "ready", "source": "s3://x", "filters": {}, "threshold": 0.5, "created_at": 0.0}
    model = {"model_name": MODEL.name, "model_fingerprint": FINGERPRINT}
    names = [f"crowd{i:011d}" for i in range(count)]
    with writing(bench.engine) as connection:
        connection.execute(insert(jobs), [{"id": name, **row, **model} for name in names])
        shard = {"image_count": 4, "state": "queued"}
        connection.execute(
            insert(shards), [{"job_id": name, "first_ordinal": 4 * i, **shard} for name in names for i in range(3)]
        )
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("ANALYZE")


def test_a_claim_among_thousands_of_jobs_looks_at_few_of_them_in_the_order_of_the_index(bench: Bench) -> None:
    crowd(bench, 3000)
    wanted = prepared(bench, 40, options=urgent(1))
    seen: list[tuple[str, object]] = []

    def record(c: object, cursor: object, statement: str, parameters: object, context: object, many: bool) -> None:
        seen.append((statement, parameters))

    event.listen(bench.engine, "before_cursor_execute", record)
    try:
        leases = claim(bench.queue(), 4)
    finally:
        event.remove(bench.engine, "before_cursor_execute", record)
    assert {lease.job_id for lease in leases} == {wanted}
    assert len([statement for statement, _ in seen if "FROM shards" in statement and "LIMIT" in statement]) == 1
    turn = next((statement, parameters) for statement, parameters in seen if "priority DESC" in statement)
    word = "EXPLAIN QUERY PLAN" if bench.engine.dialect.name == "sqlite" else "EXPLAIN"
    with bench.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"{word} {turn[0]}", turn[1])  # type: ignore[arg-type]
        plan = "\n".join(str(row[-1]) for row in rows)
    assert "ix_jobs_turn" in plan, plan
    assert not re.search(r"TEMP B-TREE|Sort ", plan), plan
