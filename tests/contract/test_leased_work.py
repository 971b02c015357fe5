"""Slow work in SQL: claimed by one alone, kept by its fence, given back, failed, finished; on both databases."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, event, insert, select
from support.builders import Bench, job_row, new_job

from jobs.domain import JobId, Work, WorkKind, WorkState
from jobs.errors import WorkLost
from jobs.leased_work.enqueueing import enqueue, prioritize, withdraw
from jobs.leased_work.leases import WorkLeases
from jobs.sql.database import reading, writing
from jobs.sql.tables import leased_work

KIND = WorkKind.COMPLETION_REPORT
OTHER = WorkKind.WEBHOOK
LEASE_S = 60.0


class Desk:
    """Two processes at one database, and a clock that is moved."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.here = WorkLeases(bench.engine, bench.clock)
        self.there = WorkLeases(bench.engine, bench.clock)

    def put(self, *subjects: str, kind: WorkKind = KIND, job_id: JobId | None = None, priority: int = 0) -> None:
        with writing(self.bench.engine) as connection:
            for subject in subjects:
                enqueue(connection, kind, subject, job_id=job_id, priority=priority)

    def claim(self, limit: int = 10, **where: object) -> list[Work]:
        return self.here.claim(KIND, limit, LEASE_S, **where)  # type: ignore[arg-type]

    def one(self) -> Work:
        (work,) = self.claim()
        return work

    def finish(self, work: Work) -> None:
        with writing(self.bench.engine) as connection:
            self.here.finish_in(connection, work)

    def row(self, subject: str) -> dict[str, object]:
        with reading(self.bench.engine) as connection:
            found = select(leased_work).where(leased_work.c.subject == subject)
            return dict(connection.execute(found).one()._mapping)


@pytest.fixture
def desk(bench: Bench) -> Desk:
    return Desk(bench)


def subjects(works: list[Work]) -> list[str]:
    return [work.subject for work in works]


# -- claims


def test_a_piece_of_work_is_claimed_by_one_alone(desk: Desk) -> None:
    desk.put("a", "b", "c")
    desk.put("a", kind=OTHER)
    assert subjects(desk.claim(2)) == ["a", "b"]
    assert subjects(desk.there.claim(KIND, 10, LEASE_S)) == ["c"]
    assert desk.claim() == desk.there.claim(KIND, 10, LEASE_S) == []
    assert subjects(desk.there.claim(OTHER, 10, LEASE_S)) == ["a"]


def test_the_most_urgent_goes_first_then_what_waits_longest(desk: Desk) -> None:
    desk.put("old", "young")
    desk.put("urgent", priority=5)
    assert [desk.claim(1)[0].subject for _ in range(3)] == ["urgent", "old", "young"]


def test_work_goes_by_the_priority_its_job_has_now(desk: Desk) -> None:
    first, second = (desk.bench.store.submit(new_job()) for _ in range(2))
    desk.put("first", job_id=first)
    desk.put("second", job_id=second)
    with writing(desk.bench.engine) as connection:
        prioritize(connection, second, 1)
    assert subjects(desk.claim(1)) == ["second"]
    assert subjects(desk.claim(10, job_id=second)) == []
    assert subjects(desk.claim(10, job_id=first)) == ["first"]


def test_what_is_held_here_is_left_to_others(desk: Desk) -> None:
    """Nobody takes work from himself: a thread of this process sits on it still."""
    desk.put("a")
    work = desk.one()
    desk.bench.clock.advance(LEASE_S + 1)
    assert desk.claim(held=[work.id]) == []
    assert subjects(desk.there.claim(KIND, 10, LEASE_S)) == ["a"]


def test_several_claimers_take_each_piece_once(desk: Desk) -> None:
    names = [f"{i:03d}" for i in range(60)]
    desk.put(*names)
    start = threading.Barrier(4)

    def work() -> list[str]:
        start.wait()
        leases, taken = WorkLeases(desk.bench.engine, desk.bench.clock), list[str]()
        while found := leases.claim(KIND, 3, LEASE_S):
            taken += subjects(found)
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = [name for part in [pool.submit(work) for _ in range(4)] for name in part.result()]
    assert sorted(taken) == names


# -- leases


def test_a_prolonged_lease_is_not_taken_and_a_dead_one_is(desk: Desk) -> None:
    desk.put("a", "b")
    kept, dead = desk.claim()
    desk.bench.clock.advance(50)
    assert desk.here.extend([kept], LEASE_S) == []
    desk.bench.clock.advance(20)
    (again,) = desk.there.claim(KIND, 10, LEASE_S)
    assert (again.subject, again.fence, again.vanished) == (dead.subject, dead.fence + 1, 1)
    assert desk.here.extend([kept, dead], LEASE_S) == [dead]


def test_any_number_of_leases_is_prolonged_in_one_statement(desk: Desk) -> None:
    desk.put(*(str(i) for i in range(200)))
    works = desk.claim(200)
    sent: list[str] = []

    def record(c: object, cursor: object, statement: str, *rest: object) -> None:
        sent.append(statement)

    event.listen(desk.bench.engine, "before_cursor_execute", record)
    assert desk.here.extend(works, LEASE_S) == []
    event.remove(desk.bench.engine, "before_cursor_execute", record)
    assert len([statement for statement in sent if "leased_work" in statement]) == 1
    assert desk.here.extend([], LEASE_S) == []


def test_whatever_comes_with_an_older_fence_is_refused(desk: Desk) -> None:
    desk.put("a")
    late = desk.one()
    desk.bench.clock.advance(LEASE_S + 1)
    (again,) = desk.there.claim(KIND, 10, LEASE_S)
    before = desk.row("a")
    for step in (
        lambda: desk.here.release(late),
        lambda: desk.here.fail(late, "too late", again_after_s=1),
        lambda: desk.here.fail(late, "too late", again_after_s=None),
        lambda: desk.here.let_go(late, "too late"),
        lambda: desk.finish(late),
    ):
        with pytest.raises(WorkLost):
            step()
    assert desk.row("a") == before
    desk.finish(again)


# -- ends


def test_what_is_given_back_costs_nothing_and_may_rest(desk: Desk) -> None:
    desk.put("a")
    desk.here.release(desk.one(), after_s=30, reason="the storage is away \0")
    row = desk.row("a")
    assert (row["state"], row["attempt"], row["vanished"]) == (WorkState.QUEUED, 0, 0)
    assert row["error"] == "the storage is away \ufffd"
    assert desk.claim() == []
    desk.bench.clock.advance(31)
    assert desk.one().attempt == 1


def test_attempts_that_failed_and_holders_that_vanished_are_counted_apart(desk: Desk) -> None:
    desk.put("a")
    for attempt in (1, 2):
        work = desk.one()
        assert (work.attempt, work.vanished) == (attempt, 0)
        desk.here.fail(work, "no", again_after_s=10)
        assert desk.claim() == []
        desk.bench.clock.advance(11)
    for vanished in (0, 1):
        work = desk.one()
        assert (work.attempt, work.vanished) == (3, vanished)
        desk.bench.clock.advance(LEASE_S + 1)
    desk.here.let_go(desk.one(), "no progress for 300 s")
    row = desk.row("a")
    assert (row["attempt"], row["vanished"], row["error"]) == (2, 3, "no progress for 300 s")


def test_work_that_failed_for_good_and_work_that_is_done_is_over(desk: Desk) -> None:
    desk.put("bad", "good")
    bad, good = desk.claim()
    desk.here.fail(bad, "never", again_after_s=None)
    desk.finish(good)
    desk.bench.clock.advance(1e6)
    assert desk.claim() == []
    assert (desk.row("bad")["state"], desk.row("good")["state"]) == (WorkState.FAILED, WorkState.DONE)
    assert desk.row("bad")["attempt"] == 1


def test_what_is_written_with_the_end_is_rolled_back_with_it(desk: Desk) -> None:
    job_id = desk.bench.store.submit(new_job())
    desk.put("a")
    late = desk.one()
    desk.bench.clock.advance(LEASE_S + 1)
    assert desk.there.claim(KIND, 1, LEASE_S)
    before = job_row(desk.bench.engine, job_id)

    def write() -> None:
        with writing(desk.bench.engine) as connection:
            connection.exec_driver_sql("UPDATE jobs SET name = 'late'")
            desk.here.finish_in(connection, late)

    with pytest.raises(WorkLost):
        write()
    assert job_row(desk.bench.engine, job_id) == before


# -- due once more, and not wanted any more


def test_work_that_is_due_once_more_begins_anew_and_shuts_its_holder_out(desk: Desk) -> None:
    desk.put("a")
    desk.here.fail(desk.one(), "no", again_after_s=0)
    late = desk.one()
    desk.put("a")
    with pytest.raises(WorkLost):
        desk.finish(late)
    again = desk.one()
    assert (again.attempt, again.vanished) == (1, 0)
    desk.finish(again)


def test_work_that_is_withdrawn_is_lost_to_its_holder_and_to_all(desk: Desk) -> None:
    job_id = desk.bench.store.submit(new_job())
    desk.put("mine", job_id=job_id)
    work = desk.one()
    with writing(desk.bench.engine) as connection:
        withdraw(connection, KIND, job_id)
    with pytest.raises(WorkLost):
        desk.finish(work)
    desk.bench.clock.advance(1e6)
    assert desk.claim() == []
    assert desk.row("mine")["state"] == WorkState.CANCELLED


def test_untried_is_what_was_never_tried_or_is_being_done(desk: Desk) -> None:
    job_id = desk.bench.store.submit(new_job())
    assert not desk.here.untried(KIND, job_id)
    desk.put("a", job_id=job_id)
    assert desk.here.untried(KIND, job_id)
    work = desk.one()
    assert desk.here.untried(KIND, job_id)
    desk.here.fail(work, "no", again_after_s=0)
    assert not desk.here.untried(KIND, job_id)


def test_the_next_piece_is_found_in_the_index_of_what_waits(desk: Desk) -> None:
    done = [{"kind": KIND.value, "subject": f"done {i}", "state": "done"} for i in range(3000)]
    later = [{"kind": KIND.value, "subject": f"later {i}", "state": "queued", "not_before": 9e9} for i in range(3000)]
    with writing(desk.bench.engine) as connection:
        connection.execute(insert(leased_work), done)
        connection.execute(insert(leased_work), later)
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("ANALYZE leased_work")
    desk.put("a")
    plans = _plans(desk.bench.engine, desk.claim)
    assert "ix_leased_work_queued" in plans, plans
    assert "ix_leased_work_leased" in plans, plans
    assert not re.search(r"SCAN leased_work(?! USING)|Seq Scan on leased_work", plans), plans


def _plans(engine: Engine, action: object) -> str:
    seen: list[tuple[str, object]] = []

    def record(c: object, cursor: object, statement: str, parameters: object, *rest: object) -> None:
        if statement.startswith("SELECT") and "LIMIT" in statement:
            seen.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", record)
    action()  # type: ignore[operator]
    event.remove(engine, "before_cursor_execute", record)
    word = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    with engine.connect() as connection:
        return "\n".join(
            str(row[-1])
            for statement, parameters in seen
            for row in connection.exec_driver_sql(f"{word} {statement}", parameters)  # type: ignore[arg-type]
        )
