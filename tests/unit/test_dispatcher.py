"""The dispatcher: sees every job to its end, whatever goes away meanwhile."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest
from builders import (
    FINGERPRINT,
    Bench,
    MovableClock,
    check_accounts,
    check_completed,
    picture,
    shard_rows,
)
from sqlalchemy import ColumnElement, Engine
from sqlalchemy.exc import OperationalError

from jobs import dispatcher as dispatcher_module
from jobs.dispatcher import Dispatcher
from jobs.domain import ImageKey, JobId, Lease, ModelRef, Verdict
from jobs.errors import AccessDenied, ErrorCode
from jobs.job_store import JobStore
from jobs.memory import MemoryScorer
from jobs.ports import Outcome, OutcomeKind
from jobs.states import JobState
from jobs.storage import MemoryStorage
from jobs.thread_runner import ThreadRunner
from jobs.verdicts import VerdictStore
from jobs.work_queue import WorkQueue

AWAY = OperationalError("SELECT 1", {}, Exception("the server closed the connection"))
PATIENCE_S = 30.0


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses and heartbeats without the waiting."""
    monkeypatch.setattr(dispatcher_module, "_DATABASE_PAUSE_S", 0.001)
    monkeypatch.setattr(dispatcher_module, "_LONGEST_PAUSE_S", 0.001)
    monkeypatch.setattr(dispatcher_module, "_BEAT_S", 0.0)


class HurriedClock(MovableClock):
    """A database's clock that is three seconds later at every look: no retry waits for long."""

    def __call__(self) -> ColumnElement[float]:
        self.advance(3)
        return super().__call__()


def hurried_queue(bench: Bench) -> WorkQueue:
    return WorkQueue(bench.engine, "hurried", HurriedClock())


@contextmanager
def running(dispatcher: Dispatcher) -> Iterator[threading.Thread]:
    """The dispatcher at work in a thread; stopped at the end."""
    thread = threading.Thread(target=dispatcher.run)
    thread.start()
    try:
        yield thread
    finally:
        dispatcher.stop()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


class Gate:
    """A screen that holds every shard until it is opened."""

    def __init__(self, screen: Callable[[Lease], list[Verdict]]) -> None:
        self._screen = screen
        self._open = threading.Event()
        self._entered = threading.Semaphore(0)

    def __call__(self, lease: Lease) -> list[Verdict]:
        self._entered.release()
        assert self._open.wait(PATIENCE_S)
        return self._screen(lease)

    def wait_for(self, shards: int) -> None:
        for _ in range(shards):
            assert self._entered.acquire(timeout=PATIENCE_S)

    def open(self) -> None:
        self._open.set()


class InlineRunner:
    """Runs one shard per wait, in this thread; `crashes` says where the worker would die."""

    def __init__(
        self, screen: Callable[[Lease], list[Verdict]], crashes: Callable[[Lease], bool] = lambda lease: False
    ) -> None:
        self._screen = screen
        self._crashes = crashes
        self.running: list[Lease] = []
        self.timeouts: list[float] = []
        self.most = 0

    def start(self, lease: Lease) -> None:
        self.running.append(lease)
        self.most = max(self.most, len(self.running))

    def wait(self, timeout_s: float) -> list[Outcome]:
        self.timeouts.append(timeout_s)
        if not self.running:
            return []
        lease = self.running.pop(0)
        if self._crashes(lease):
            return [Outcome(lease=lease, kind=OutcomeKind.CRASHED, reason="the worker was killed")]
        return [Outcome(lease=lease, kind=OutcomeKind.FINISHED, verdicts=tuple(self._screen(lease)))]

    def abandon(self, leases: Sequence[Lease]) -> None:
        self.running = [lease for lease in self.running if lease not in leases]


def complete(bench: Bench, job_id: JobId, total: int, **parts: object) -> None:
    """Run a dispatcher until the job is over, and check every account."""
    bench.dispatcher(only_job=job_id, **parts).run()  # type: ignore[arg-type]
    check_completed(bench.engine, job_id, total)


# -- a job from end to end


def test_a_job_is_prepared_screened_and_completed(bench: Bench) -> None:
    job_id = bench.submit(100)
    bench.storage.write(ImageKey("broken.png"), b"no image", content_type="image/png")
    complete(bench, job_id, 101)
    job = bench.store.get(job_id)
    scores = [bench.scorer.score_of(picture(i)) for i in range(100)]
    assert [match.verdict.score for match in VerdictStore(bench.engine).of_job(job_id)] == [*scores, None]
    assert (job.counts.scored, job.counts.failed) == (100, 1)
    assert job.counts.flagged == sum(score >= 0.5 for score in scores)
    assert job.started_at is not None
    assert job.created_at <= job.started_at <= (job.finished_at or 0)
    assert len(list(bench.maps.list_objects())) == job.counts.flagged


def test_the_same_corpus_again_is_another_job_with_the_same_verdicts(bench: Bench) -> None:
    first, second = bench.submit(30), bench.submit(30)
    for job_id in (first, second):
        complete(bench, job_id, 30)
    store = VerdictStore(bench.engine)
    here, there = ([replace(m.verdict, map_uri=None) for m in store.of_job(job)] for job in (first, second))
    assert here == there


def test_a_dispatcher_for_one_job_leaves_the_others_alone(bench: Bench) -> None:
    other, wanted = bench.submit(5), bench.submit(5)
    complete(bench, wanted, 5)
    assert bench.store.get(other).state is JobState.PREPARING


def test_a_dispatcher_for_all_works_until_it_is_stopped(bench: Bench) -> None:
    jobs = [bench.submit(20) for _ in range(3)]
    with running(bench.dispatcher(in_flight=3)):
        wait_until(lambda: all(bench.store.get(job).state is JobState.COMPLETED for job in jobs))
    for job_id in jobs:
        check_completed(bench.engine, job_id, 20)


def test_a_job_that_is_over_ends_its_dispatcher_at_once(bench: Bench) -> None:
    job_id = bench.submit(5)
    bench.store.cancel(job_id)
    bench.dispatcher(only_job=job_id).run()
    assert bench.store.get(job_id).state is JobState.CANCELLED


def test_no_more_shards_in_flight_than_allowed(bench: Bench) -> None:
    job_id = bench.submit(200)
    runner = InlineRunner(bench.screener().screen)
    complete(bench, job_id, 200, runner=runner, in_flight=3)
    assert runner.most == 3


@pytest.mark.parametrize("busy", [False, True])
def test_a_dispatcher_without_anything_to_do_waits(bench: Bench, busy: bool) -> None:
    """Every round ends with one wait of the poll time: there is no busy loop."""
    rounds: list[float] = []

    class Counted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            return count(timeout or 0.0)

    class Never(InlineRunner):
        def wait(self, timeout_s: float) -> list[Outcome]:
            count(timeout_s)
            return []

    def count(timeout_s: float) -> bool:
        rounds.append(timeout_s)
        if len(rounds) == 5:
            dispatcher.stop()
        return False

    if busy:
        job_id = bench.submit(5)
        preparation = bench.store.claim_preparation(60)
        assert preparation is not None
        bench.dispatcher(only_job=job_id)._preparer.run(preparation, threading.Event())
    dispatcher = bench.dispatcher(runner=Never(bench.screener().screen), poll_s=0.75)
    dispatcher._stop = Counted()
    real, claims = dispatcher._queue.claim, []

    def claim(limit: int, lease_s: float, *, fingerprint: str, job_id: JobId | None = None) -> list[Lease]:
        claims.append(limit)
        if len(claims) == 50:
            dispatcher.stop()  # a busy loop ends here, and is seen below
        return real(limit, lease_s, fingerprint=fingerprint, job_id=job_id)

    dispatcher._queue.claim = claim  # type: ignore[method-assign]
    dispatcher.run()
    assert rounds[:5] == [0.75] * 5
    assert len(claims) <= 5


# -- the model


def test_a_model_that_is_away_for_a_while_costs_no_attempt(bench: Bench) -> None:
    job_id = bench.submit(20)
    bench.scorer.unavailable = 7
    complete(bench, job_id, 20)
    assert {row["attempt"] for row in shard_rows(bench.engine, job_id)} == {1}
    assert bench.store.get(job_id).counts.failed == 0


def test_pauses_while_the_model_is_away_grow_up_to_a_limit(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher_module, "_LONGEST_PAUSE_S", 5.0)
    dispatcher = bench.dispatcher()
    lease = prepared_lease(bench)
    pauses = []
    for _ in range(5):
        dispatcher._record(Outcome(lease=lease, kind=OutcomeKind.UNAVAILABLE, reason="away"))
        pauses.append(dispatcher._pause_s)
    assert pauses == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_a_job_of_another_model_is_left_to_those_who_host_it_and_told_of_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    old = ModelRef(name="old", fingerprint="cd" * 32)
    other = bench.submit(20, model=old)
    mine = bench.submit(20)
    with running(bench.dispatcher()):
        wait_until(lambda: bench.store.get(mine).state is JobState.COMPLETED)
        wait_until(lambda: "waits for its model, old" in caplog.text)
    assert bench.store.get(other).state is JobState.READY
    assert caplog.text.count(f"job {other} waits for its model, old") == 1
    complete(bench, other, 20, fingerprint=old.fingerprint)


def test_a_model_replaced_under_a_running_job_fails_it_with_the_reason(bench: Bench) -> None:
    job_id = bench.submit(50)
    replaced = MemoryScorer(fingerprint="cd" * 32)
    bench.dispatcher(bench.screener(scorer=replaced).screen, only_job=job_id).run()
    job = check_accounts(bench.engine, job_id)
    assert job.state is JobState.FAILED
    assert "pinned to model abababababab, but cdcdcdcdcdcd is being served" in str(job.error)
    assert "leased" not in {row["state"] for row in shard_rows(bench.engine, job_id)}


def test_heatmaps_that_may_not_be_kept_fail_the_job_with_the_reason(bench: Bench) -> None:
    class ReadOnly(MemoryStorage):
        def write(self, key: ImageKey, data: bytes, *, content_type: str) -> str:
            raise AccessDenied(self.container, "read-only")

    job_id = bench.submit(20)
    bench.maps = ReadOnly("memory://maps")
    bench.dispatcher(only_job=job_id).run()
    assert (bench.store.get(job_id).state, bench.store.get(job_id).error) == (
        JobState.FAILED,
        "memory://maps: read-only",
    )


# -- workers


def test_crashes_end_with_the_one_image_at_fault(bench: Bench) -> None:
    job_id = bench.submit(40)
    culprit = "000021.png"
    runner = InlineRunner(bench.screener().screen, lambda lease: culprit in {ref.key for ref in lease.entries})
    complete(bench, job_id, 40, runner=runner, queue=hurried_queue(bench), lease_s=1e6)
    (failed,) = VerdictStore(bench.engine).failed(job_id)
    assert (failed.verdict.key, failed.verdict.error_code) == (culprit, ErrorCode.MODEL_ERROR)
    assert "the worker was killed" in str(failed.verdict.error_message)


def test_an_image_that_breaks_its_shard_is_set_aside_alone(bench: Bench) -> None:
    job_id = bench.submit(40)
    screen = bench.screener().screen

    def odd(lease: Lease) -> list[Verdict]:
        if 11 in range(lease.first_ordinal, lease.first_ordinal + len(lease.entries)):
            raise ZeroDivisionError("odd")
        return screen(lease)

    complete(bench, job_id, 40, screen=odd, queue=hurried_queue(bench), lease_s=1e6)
    (failed,) = VerdictStore(bench.engine).failed(job_id)
    assert failed.verdict.ordinal == 11
    assert failed.verdict.error_message == "set aside after 3 attempts: ZeroDivisionError: odd"


def test_shards_of_a_worker_that_vanished_are_taken_over(bench: Bench) -> None:
    job_id = bench.submit(40)
    dead = prepared_lease(bench)
    bench.clock.advance(1000)
    queue = hurried_queue(bench)
    queue._clock.advance(2000)  # type: ignore[attr-defined]
    complete(bench, job_id, 40, queue=queue, lease_s=1e6)
    rows = {row["id"]: row for row in shard_rows(bench.engine, job_id)}
    assert rows[dead.shard_id]["attempt"] == 2
    assert rows[dead.shard_id]["error"] is None


@pytest.mark.parametrize("wrong", ["too few", "impossible"])
def test_a_result_that_cannot_be_recorded_fails_its_job_and_not_the_dispatcher(
    bench: Bench, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    doomed, fine = bench.submit(20), bench.submit(20)
    screen = bench.screener().screen

    def odd(lease: Lease) -> list[Verdict]:
        verdicts = screen(lease)
        if lease.job_id != doomed:
            return verdicts
        return verdicts[1:] if wrong == "too few" else [replace(v, tampered_areas=(7.0,)) for v in verdicts]

    with running(bench.dispatcher(odd)):
        wait_until(lambda: bench.store.get(doomed).state is JobState.FAILED)
        wait_until(lambda: bench.store.get(fine).state is JobState.COMPLETED)
    assert str(bench.store.get(doomed).error).startswith("a result cannot be recorded: ")
    check_accounts(bench.engine, doomed)
    check_completed(bench.engine, fine, 20)
    assert "cannot be recorded" in caplog.text


# -- the database


class Flaky(WorkQueue):
    """Loses the connection at every third step: before it, or after it when nobody hears of the success."""

    def __init__(self, engine: Engine, when: str) -> None:
        super().__init__(engine, "flaky", HurriedClock())
        self._when = when
        self._steps = Counter[str]()

    def _step(self, name: str, when: str) -> None:
        if when == self._when:
            self._steps[name] += 1
            if self._steps[name] % 3 == 1:
                raise AWAY

    def finish(self, lease: Lease, results: Sequence[Verdict]) -> JobState:
        self._step("finish", "before")
        state = super().finish(lease, results)
        self._step("finish", "after")
        return state

    def claim(self, limit: int, lease_s: float, *, fingerprint: str, job_id: JobId | None = None) -> list[Lease]:
        self._step("claim", "before")
        return super().claim(limit, lease_s, fingerprint=fingerprint, job_id=job_id)

    def heartbeat(self, leases: Sequence[Lease], lease_s: float) -> list[Lease]:
        self._step("heartbeat", "before")
        return super().heartbeat(leases, lease_s)

    def rescue(self) -> int:
        self._step("rescue", "before")
        return super().rescue()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_database_that_is_away_at_times_loses_and_doubles_nothing(bench: Bench, when: str) -> None:
    job_id = bench.submit(60)
    complete(bench, job_id, 60, queue=Flaky(bench.engine, when), lease_s=1e6)
    job = bench.store.get(job_id)
    assert (job.counts.scored, job.counts.failed) == (60, 0)


def test_a_preparation_starts_over_when_the_database_was_away(bench: Bench) -> None:
    class Away(JobStore):
        left = 2

        def extend_preparation(self, *args: object, **values: object) -> None:
            if self.left:
                self.left -= 1
                raise AWAY
            super().extend_preparation(*args, **values)  # type: ignore[arg-type]

    job_id = bench.submit(60)
    complete(bench, job_id, 60, store=Away(bench.engine))


def test_a_database_that_is_away_at_the_end_is_no_crash(bench: Bench) -> None:
    class Gone(WorkQueue):
        def release(self, lease: Lease) -> None:
            raise AWAY

    job_id = bench.submit(20)
    gate = Gate(bench.screener().screen)
    with running(bench.dispatcher(gate, queue=Gone(bench.engine, "gone"))):
        gate.wait_for(2)
    gate.open()
    assert "leased" in {row["state"] for row in shard_rows(bench.engine, job_id)}
    bench.clock.advance(1000)
    queue = hurried_queue(bench)
    queue._clock.advance(1000)  # type: ignore[attr-defined]
    complete(bench, job_id, 20, queue=queue, lease_s=1e6)


# -- stopping, cancelling, two at once


def test_stopping_gives_everything_back_and_the_next_one_completes(bench: Bench) -> None:
    job_id = bench.submit(60)
    gate = Gate(bench.screener().screen)
    with running(bench.dispatcher(gate, in_flight=2)):
        gate.wait_for(2)
    rows = shard_rows(bench.engine, job_id)
    assert {row["state"] for row in rows} == {"queued"}
    assert {row["attempt"] for row in rows} == {0}
    gate.open()
    complete(bench, job_id, 60)


def test_what_is_finished_when_it_stops_is_recorded(bench: Bench) -> None:
    job_id = bench.submit(8)
    prepare(bench, job_id)
    runner = InlineRunner(bench.screener().screen)
    dispatcher = bench.dispatcher(runner=runner)
    (lease,) = bench.queue().claim(1, 60, fingerprint=FINGERPRINT)
    runner.start(lease)
    dispatcher.stop()
    dispatcher.run()
    assert check_accounts(bench.engine, job_id).counts.done == 8


def test_stopping_interrupts_a_preparation(bench: Bench) -> None:
    listing = threading.Event()

    class Endless(MemoryStorage):
        def list_objects(self, prefix: str = "") -> Iterator[object]:  # type: ignore[override]
            info = bench.storage.stat(ImageKey("000000.png"))
            while True:
                listing.set()
                yield info

    job_id = bench.submit(20)
    with running(bench.dispatcher(open_storage=Endless)):
        assert listing.wait(PATIENCE_S)
    assert bench.store.get(job_id).state is JobState.PREPARING
    complete(bench, job_id, 20)


def test_a_cancelled_job_stops_and_keeps_what_it_has(bench: Bench) -> None:
    job_id = bench.submit(60)
    gate = Gate(bench.screener().screen)
    with running(bench.dispatcher(gate, in_flight=2)):
        gate.wait_for(2)
        assert bench.store.cancel(job_id).state is JobState.CANCELLING
        wait_until(lambda: bench.store.get(job_id).state is JobState.CANCELLED)
        gate.open()
    job = check_accounts(bench.engine, job_id)
    assert (job.state, job.counts.done) == (JobState.CANCELLED, 0)
    assert "leased" not in {row["state"] for row in shard_rows(bench.engine, job_id)}


def test_a_cancelled_job_makes_room_for_the_next(bench: Bench) -> None:
    first = bench.submit(60)
    gate = Gate(bench.screener().screen)
    with running(bench.dispatcher(runner=ThreadRunner(gate, threads=4), in_flight=2)):
        gate.wait_for(2)
        second = bench.submit(60)
        bench.store.cancel(first)
        gate.wait_for(1)  # of the second job, while the first one's threads still hang
        gate.open()
        wait_until(lambda: bench.store.get(second).state is JobState.COMPLETED)
    check_completed(bench.engine, second, 60)


def test_two_dispatchers_on_one_database(bench: Bench) -> None:
    jobs = [bench.submit(80) for _ in range(3)]
    screened: Counter[str] = Counter()
    screen = bench.screener().screen

    def counted(name: str) -> Callable[[Lease], list[Verdict]]:
        def run(lease: Lease) -> list[Verdict]:
            screened[name] += 1
            return screen(lease)

        return run

    both = [bench.dispatcher(counted(name), queue=bench.queue(name)) for name in ("one", "two")]
    with running(both[0]), running(both[1]):
        wait_until(lambda: all(bench.store.get(job).state is JobState.COMPLETED for job in jobs))
    for job_id in jobs:
        check_completed(bench.engine, job_id, 80)
    shards = sum(len(shard_rows(bench.engine, job)) for job in jobs)
    assert sum(screened.values()) == shards  # nothing was done twice
    assert set(screened) == {"one", "two"}


# -- helpers


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll what only the database knows, with an end."""
    pause = threading.Event()
    for _ in range(int(PATIENCE_S / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    pytest.fail("it did not come about")


def prepare(bench: Bench, job_id: JobId) -> None:
    preparation = bench.store.claim_preparation(60, job_id)
    assert preparation is not None
    bench.dispatcher()._preparer.run(preparation, threading.Event())


def prepared_lease(bench: Bench) -> Lease:
    """A shard in the hands of a worker that will never be heard of again."""
    job_id = bench.store.latest()[0].id if bench.store.latest() else bench.submit(8)
    prepare(bench, job_id)
    (lease,) = bench.queue("dead").claim(1, 60, fingerprint=FINGERPRINT)
    return lease
