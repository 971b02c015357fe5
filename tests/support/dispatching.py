"""Dispatchers in tests: a hurried clock, a gate before the shards, a runner in this thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from sqlalchemy import ColumnElement
from support.builders import (
    FINGERPRINT,
    Bench,
    check_completed,
)

from jobs.dispatcher import Dispatcher
from jobs.domain import JobId, Lease, ShardId, Verdict
from jobs.leased_work.held import HeldWork
from jobs.leased_work.task import WorkTask
from jobs.ports import Outcome, OutcomeKind
from jobs.preparation.preparer import Preparer
from jobs.shards.work_queue import WorkQueue
from jobs.testing import MovableClock

PATIENCE_S = 30.0


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

    #: takes whatever it is given
    free = 1000
    lacks: str | None = None

    def make_room(self, shards: int) -> None:
        pass

    def allow(self, shards: int) -> None:
        pass

    def silence(self) -> dict[ShardId, float]:
        return {lease.shard_id: 0.0 for lease in self.running}

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


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll what only the database knows, with an end."""
    pause = threading.Event()
    for _ in range(int(PATIENCE_S / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    pytest.fail("it did not come about")


def prepare(bench: Bench, job_id: JobId) -> None:
    task = WorkTask(Preparer(bench.store, bench.open), HeldWork(bench.store.work), only=job_id)
    assert task.step(threading.Event())


def prepared_lease(bench: Bench) -> Lease:
    """A shard in the hands of a worker that will never be heard of again."""
    job_id = bench.store.latest()[0].id if bench.store.latest() else bench.submit(8)
    prepare(bench, job_id)
    (lease,) = bench.queue("dead").claim(1, 60, fingerprints=[FINGERPRINT])
    return lease
