"""Shards in the hands of a dispatcher: kept while they go on, whoever is busy; lost when nothing is known of them."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest
from sqlalchemy import Connection, Engine, event
from support.builders import FINGERPRINT, Bench, check_completed, entries, ready_job, results_of, shard_rows
from support.dispatching import InlineRunner, prepare, running, wait_until
from support.queueing import LEASE_S, claim

from jobs.domain import Lease, Verdict
from jobs.domain.states import JobState
from jobs.leased_work.keeper import LeaseKeeper
from jobs.ports import Outcome, OutcomeKind
from jobs.registry.dispatchers import Dispatchers
from jobs.screening.known_verdicts import KnownVerdicts
from jobs.screening.thread_runner import ThreadRunner
from jobs.shards.held import HeldShards
from jobs.shards.work_queue import WorkQueue

SILENCE_S = 300.0


class Hands:
    """One dispatcher's shards; `now` is its own clock, which goes with that of the database."""

    def __init__(self, bench: Bench, worker: str = "here") -> None:
        self.bench = bench
        self.now = 0.0
        self.queue = bench.queue(worker)
        self.held = HeldShards(self.queue, lease_s=LEASE_S, max_silence_s=SILENCE_S, now=lambda: self.now)

    def take(self, limit: int) -> list[Lease]:
        leases = claim(self.queue, limit)
        self.held.hold(leases)
        return leases

    def pass_time(self, seconds: float) -> None:
        while seconds > 0:
            step = min(20.0, seconds)
            seconds -= step
            self.bench.clock.advance(step)
            self.now += step
            LeaseKeeper([self.held], lease_s=LEASE_S).beat()


@pytest.fixture
def here(bench: Bench) -> Hands:
    return Hands(bench)


# -- progress (Found 6)


def test_a_shard_that_makes_progress_is_kept_and_one_that_hangs_is_not(bench: Bench, here: Hands) -> None:
    """A worker that was stopped: the dispatcher prolonged what it had started, for ever."""
    ready_job(bench.engine, entries(8))
    goes_on, hangs = here.take(2)
    for passed in range(20, 401, 20):
        here.held.note({goes_on.shard_id: 1.0, hangs.shard_id: float(passed)})
        here.pass_time(20)
    assert bench.queue("another").rescue() == 1
    rows = {row["id"]: row for row in shard_rows(bench.engine, goes_on.job_id)}
    assert rows[goes_on.shard_id]["state"] == "leased"
    assert (rows[hangs.shard_id]["state"], rows[hangs.shard_id]["vanished"]) == ("queued", 1)


def test_what_waits_for_its_start_is_kept_and_costs_nothing_when_it_is_lost(bench: Bench, here: Hands) -> None:
    ready_job(bench.engine, entries(4))
    (waits,) = here.take(1)
    for _ in range(20):
        here.held.note({}, [waits.shard_id])
        here.pass_time(20)
    assert bench.queue("another").rescue() == 0
    bench.clock.advance(LEASE_S + 1)  # the process is frozen
    assert bench.queue("another").rescue() == 1
    (row,) = shard_rows(bench.engine, waits.job_id)
    assert (row["attempt"], row["vanished"]) == (0, 0)


def test_a_dispatcher_of_whose_thread_nothing_is_heard_loses_its_shards(bench: Bench, here: Hands) -> None:
    ready_job(bench.engine, entries(8))
    leases = here.take(2)
    here.held.note({lease.shard_id: 0.0 for lease in leases})
    here.pass_time(SILENCE_S + 2 * LEASE_S)
    assert bench.queue("another").rescue() == 2


def test_lost_leases_are_told_once_and_held_no_more(bench: Bench, here: Hands) -> None:
    job_id = ready_job(bench.engine, entries(8))
    kept, lost = here.take(2)
    bench.queue("another").fail_attempt(lost, "taken over")
    here.held.extend()
    assert list(here.held.take_lost()) == [lost]
    assert list(here.held.take_lost()) == []
    assert here.held.leases == [kept]
    bench.store.cancel(job_id)
    here.held.extend()
    assert list(here.held.take_lost()) == [kept]  # its job is to stop


def test_a_thousand_leases_are_prolonged_in_one_statement(bench: Bench, here: Hands) -> None:
    ready_job(bench.engine, entries(1000), shard_size=1)
    here.take(1000)
    sent: list[str] = []

    def record(c: object, cursor: object, statement: str, *rest: object) -> None:
        if "UPDATE" in statement:
            sent.append(statement)

    event.listen(bench.engine, "before_cursor_execute", record)
    here.held.extend()
    event.remove(bench.engine, "before_cursor_execute", record)
    assert len(sent) == 1
    assert len(here.held.leases) == 1000


# -- claims (Found 1, Found 5)


class SlowLookUps(KnownVerdicts):
    """Each takes a while, as on a large archive."""

    def __init__(self, engine: Engine, seconds: float) -> None:
        super().__init__(engine)
        self._seconds = seconds

    def recall(self, lease: Lease) -> Lease:
        time.sleep(self._seconds)
        return lease


def test_two_dispatchers_with_slow_look_ups_screen_every_shard_once(bench: Bench) -> None:
    """Slots times look-up outlasts a lease: all was claimed at once, looked up one by one, and rescued meanwhile."""
    job_id = ready_job(bench.engine, entries(256), shard_size=1)
    screened: Counter[int] = Counter()

    def screen(lease: Lease) -> list[Verdict]:
        screened[lease.shard_id] += 1
        return results_of(lease)

    def dispatcher(name: str) -> object:
        return bench.dispatcher(
            runner=ThreadRunner(screen, 256),
            queue=WorkQueue(bench.engine, name),
            known=SlowLookUps(bench.engine, 0.3),
            in_flight=256,
            lease_s=3.0,
        )

    with running(dispatcher("one")), running(dispatcher("two")):  # type: ignore[arg-type]
        wait_until(lambda: bench.store.get(job_id).state is JobState.COMPLETED)
    assert set(screened.values()) == {1}
    check_completed(bench.engine, job_id, 256)
    assert {(row["attempt"], row["vanished"]) for row in shard_rows(bench.engine, job_id)} == {(0, 0)}


class NoRoom(InlineRunner):
    """A full cluster: what is asked for finds no place, until there is some."""

    free = 0
    asked = 0

    def make_room(self, shards: int) -> None:
        self.asked += shards
        self.lacks = "2 more workers find no place on the cluster"


def test_nothing_is_claimed_that_cannot_start_and_people_are_told(bench: Bench) -> None:
    """A second dispatcher on a full cluster held shards for workers that never came, without a word."""
    job_id = bench.submit(40)
    prepare(bench, job_id)
    runner = NoRoom(bench.screener().screen)
    presence = Dispatchers(bench.engine, bench.clock)
    dispatcher = bench.dispatcher(runner=runner, presence=presence, in_flight=4, lease_s=1e6)
    with running(dispatcher):
        wait_until(lambda: runner.asked > 0)
        assert "leased" not in {row["state"] for row in shard_rows(bench.engine, job_id)}
        wait_until(lambda: bench.store.waits_for(job_id) == runner.lacks)
        assert list(presence.at_work()) == ["worker"]
        assert bench.queue().waiting(100, fingerprints=[FINGERPRINT]) == len(shard_rows(bench.engine, job_id))
        runner.lacks = None
        runner.free = 4
        wait_until(lambda: bench.store.get(job_id).state is JobState.COMPLETED)
    assert presence.at_work() == {}
    assert bench.store.waits_for(job_id) is None


def test_no_more_is_claimed_than_can_start(bench: Bench) -> None:
    job_id = bench.submit(60)

    class Narrow(InlineRunner):
        @property
        def free(self) -> int:  # type: ignore[override]
            return 2 - len(self.running)

    runner = Narrow(bench.screener().screen)
    bench.dispatcher(runner=runner, only_job=job_id, in_flight=16).run()
    assert runner.most == 2
    check_completed(bench.engine, job_id, 60)


def test_a_shard_that_is_given_back_before_it_began_costs_nothing(bench: Bench) -> None:
    class Refusing(InlineRunner):
        left = 30

        def wait(self, timeout_s: float) -> list[Outcome]:
            if self.running and self.left:
                self.left -= 1
                return [Outcome(lease=self.running.pop(0), kind=OutcomeKind.GIVEN_BACK, reason="its worker ended")]
            return super().wait(timeout_s)

    job_id = bench.submit(8)
    bench.dispatcher(runner=Refusing(bench.screener().screen), only_job=job_id).run()
    check_completed(bench.engine, job_id, 8)
    assert {(row["attempt"], row["vanished"]) for row in shard_rows(bench.engine, job_id)} == {(0, 0)}


# -- the database (Found 9)


@pytest.mark.postgres
def test_a_database_that_is_read_only_for_a_while_ends_nothing(postgres_engine: Engine) -> None:
    """As every failover shows it: the dispatcher's thread died, and between two statements a job failed for good."""
    bench = Bench(postgres_engine)
    job_id = bench.submit(60)
    read_only, refused = threading.Event(), threading.Event()
    screen = bench.screener().screen

    def begin(connection: Connection) -> None:
        if read_only.is_set() and connection.get_execution_options().get("writes"):
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")

    def screened(lease: Lease) -> list[Verdict]:
        read_only.set()
        return screen(lease)

    def failed(context: object) -> None:
        refused.set()

    event.listen(postgres_engine, "begin", begin)
    event.listen(postgres_engine, "handle_error", failed)
    try:
        with running(bench.dispatcher(screened, lease_s=1e6)) as thread:
            assert refused.wait(30)
            time.sleep(0.1)
            assert thread.is_alive()
            assert bench.store.get(job_id).state is JobState.RUNNING
            event.remove(postgres_engine, "begin", begin)
            wait_until(lambda: bench.store.get(job_id).state is JobState.COMPLETED)
    finally:
        if event.contains(postgres_engine, "begin", begin):
            event.remove(postgres_engine, "begin", begin)
        event.remove(postgres_engine, "handle_error", failed)
    job = check_completed(postgres_engine, job_id, 60)
    assert (job.counts.failed, job.error) == (0, None)


def test_a_round_that_breaks_off_does_not_end_the_dispatcher(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    job_id = bench.submit(8)

    class Odd(WorkQueue):
        left = 3

        def rescue(self) -> int:
            if self.left:
                self.left -= 1
                raise ZeroDivisionError("odd")
            return super().rescue()

    bench.dispatcher(queue=Odd(bench.engine, "odd", bench.clock), only_job=job_id).run()
    check_completed(bench.engine, job_id, 8)
    assert caplog.text.count("a round of the dispatcher broke off") == 3
