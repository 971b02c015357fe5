"""Schedules on both databases: each tick once, whoever looks; what was missed, what overlaps, what is paused."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import func, select
from support.builders import FINGERPRINT, Bench, entry, ready_job, scored
from support.servers.postgres import PostgresServer

from jobs.domain import Decision, JobId, NewReview, VerdictRef, WorkKind
from jobs.domain.schedules import Misfire, NewSchedule, Schedule, ScheduleKind, TickState
from jobs.leased_work.leases import WorkLeases
from jobs.reviews import ReviewStore
from jobs.schedules.due import InvalidSchedule
from jobs.schedules.errors import ScheduleNotFound
from jobs.schedules.schedule_store import GRACE_S, ScheduleStore
from jobs.schedules.ticker import ticker
from jobs.sql.database import create_database_engine, reading
from jobs.sql.errors import DATABASE_AWAY
from jobs.sql.migrations import prepare_database
from jobs.sql.model_tables import ticks
from jobs.testing import MovableClock
from jobs.verdicts import VerdictStore

MINUTE = 60.0


@pytest.fixture
def store(bench: Bench) -> ScheduleStore:
    return ScheduleStore(bench.engine, bench.clock)


def new(name: str = "nightly", **fields: object) -> NewSchedule:
    values: dict[str, object] = {"cron": "* * * * *", "kind": ScheduleKind.SCREEN, "request": {"source": "s3://a"}}
    return NewSchedule(name=name, **(values | fields))  # type: ignore[arg-type]


def states(store: ScheduleStore, schedule: Schedule) -> list[TickState]:
    return [tick.state for tick in reversed(store.ticks(schedule.id, 1000))]


def test_a_schedule_is_found_by_name_and_id(store: ScheduleStore) -> None:
    made = store.add(new())
    assert store.get("nightly") == store.get(made.id) == made
    with pytest.raises(InvalidSchedule):
        store.add(new())
    with pytest.raises(InvalidSchedule):
        store.add(new("other", cron="never"))
    store.remove("nightly")
    for use in (store.get, store.pause, store.remove, store.run_now):
        with pytest.raises(ScheduleNotFound):
            use("nightly")


def test_what_is_due_becomes_one_tick_and_one_piece_of_work(store: ScheduleStore, bench: Bench) -> None:
    made = store.add(new())
    assert store.make_ticks() == 0
    bench.clock.advance(MINUTE)
    assert store.make_ticks() == 1
    assert store.make_ticks() == 0
    (tick,) = store.ticks(made.id)
    assert tick.due_at % MINUTE == 0
    (work,) = WorkLeases(bench.engine, bench.clock).claim(WorkKind.TICK, 5, 60)
    assert work.subject == tick.work
    store.settle(work, tick, TickState.STARTED, subject="job")
    assert store.tick(made.id, tick.due_at).subject == "job"


def test_two_hundred_ticks_by_four_who_look_at_once_are_two_hundred(bench: Bench) -> None:
    made = ScheduleStore(bench.engine, bench.clock).add(new())
    stores = [ScheduleStore(bench.engine, bench.clock) for _ in range(4)]
    begun = 0
    bench.clock.stop()
    with ThreadPoolExecutor(4) as pool:
        for _ in range(200):
            bench.clock.advance(MINUTE)
            together = Barrier(4)

            def look(store: ScheduleStore, together: Barrier = together) -> int:
                together.wait()
                return store.make_ticks()

            begun += sum(pool.map(look, stores))
    with reading(bench.engine) as connection:
        rows = connection.execute(select(func.count()).select_from(ticks).where(ticks.c.schedule_id == made.id))
        assert rows.scalar_one() == begun == 200


def test_nobody_was_there_for_an_hour(store: ScheduleStore, bench: Bench) -> None:
    once, skip = store.add(new("once")), store.add(new("skip", misfire=Misfire.SKIP, cron="0 * * * *"))
    bench.clock.stop()
    bench.clock.advance(60 * MINUTE - 1)
    store.make_ticks()
    found = states(store, once)
    assert found.count(TickState.WAITING) == 1
    assert found[-1] is TickState.WAITING, "the last one is made up for"
    assert found.count(TickState.MISSED) == len(found) - 1 >= 58
    bench.clock.advance(60 * MINUTE + GRACE_S * 2)
    store.make_ticks()
    late = states(store, skip)
    assert TickState.MISSED in late


def test_a_paused_schedule_makes_nothing_up(store: ScheduleStore, bench: Bench) -> None:
    made = store.add(new())
    store.pause("nightly")
    bench.clock.advance(10 * MINUTE)
    assert store.make_ticks() == 0
    store.pause("nightly", paused=False)
    assert store.make_ticks() == 0
    bench.clock.advance(MINUTE)
    assert store.make_ticks() == 1
    assert states(store, made) == [TickState.WAITING]


def test_now_is_a_tick_beside_the_others(store: ScheduleStore, bench: Bench) -> None:
    made = store.add(new(cron="0 0 1 1 *"))
    first = store.run_now("nightly")
    bench.clock.advance(1)
    second = store.run_now("nightly")
    assert store.before(second) == first
    assert store.before(first) is None
    assert states(store, made) == [TickState.WAITING] * 2


def test_enough_new_reviews_are_due_once(store: ScheduleStore, bench: Bench) -> None:
    images = [entry(f"{i}.jpg") for i in range(4)]
    job = ready_job(bench.engine, images)
    (lease,) = bench.queue().claim(1, 60, fingerprints=[FINGERPRINT], job_id=job)
    bench.queue().finish(lease, [scored(i, images[i], 0.9) for i in range(4)])
    made = store.add(new(cron="0 0 1 1 *", after_reviews=2, kind=ScheduleKind.RETRAIN))
    for ordinal, due in ((0, 0), (1, 1), (2, 0), (3, 1)):
        say(bench, job, ordinal)
        assert store.make_ticks() == due
        bench.clock.advance(1)
    assert len(states(store, made)) == 2


def say(bench: Bench, job: JobId, ordinal: int) -> None:
    found = VerdictStore(bench.engine).at(VerdictRef(job_id=job, ordinal=ordinal))
    ReviewStore(bench.engine, bench.clock).add(found, NewReview(decision=Decision.CONFIRMED, reviewer="ann"))


def test_the_ticker_looks_now_and_then(store: ScheduleStore, bench: Bench) -> None:
    seconds = 0.0
    task = ticker(store, clock=lambda: seconds)
    store.add(new())
    bench.clock.advance(MINUTE)
    assert task.step(threading.Event())
    bench.clock.advance(MINUTE)
    assert not task.step(threading.Event()), "it has just looked"
    seconds = 6.0
    assert task.step(threading.Event())


@pytest.mark.postgres
def test_a_database_that_is_away_for_ten_ticks_makes_none_twice_and_loses_none(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    """Two processes' worth of stores look every minute; for ten of thirty minutes nobody answers them."""
    clock = MovableClock()
    engines = [create_database_engine(postgres_url) for _ in range(2)]
    prepare_database(engines[0])
    stores = [ScheduleStore(engine, clock) for engine in engines]
    made = stores[0].add(new())
    begun, refused = 0, 0
    for minute in range(30):
        if minute == 10:
            postgres_server.stop(crash=True)
        if minute == 20:
            postgres_server.start()
        clock.advance(MINUTE)
        for store in stores:
            try:
                begun += store.make_ticks()
            except DATABASE_AWAY:
                refused += 1
    assert refused == 20
    found = stores[1].ticks(made.id, 1000)
    due = [tick.due_at for tick in found]
    assert len(due) == len(set(due)) == 30
    assert sorted(due) == [min(due) + MINUTE * i for i in range(30)]
    assert begun == len(WorkLeases(engines[0], clock).claim(WorkKind.TICK, 100, 60)) == 20, (
        "what is due now makes up for what was missed"
    )
    assert states(stores[0], made).count(TickState.MISSED) == 10
    for engine in engines:
        engine.dispose()
