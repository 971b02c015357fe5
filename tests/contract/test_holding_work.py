"""Slow work in the hands of a process: kept while it goes on, let go when it hangs, never taken from oneself.

Two dispatchers on one database, whose clock is moved; none of them is asked to wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import select
from support.builders import CONTAINER, Bench, entries, fill, new_job, picture
from support.dispatching import PATIENCE_S, wait_until
from support.preparing import Scripted
from support.reporting import ReportBench

from jobs.background import in_background
from jobs.domain import ImageKey, JobId, ObjectInfo, Work, WorkKind
from jobs.domain.states import JobState
from jobs.errors import StorageUnavailable, WorkLost
from jobs.leased_work import task as task_module
from jobs.leased_work.held import HeldWork, Hold
from jobs.leased_work.keeper import LeaseKeeper
from jobs.leased_work.task import MAX_VANISHED, WorkTask
from jobs.preparation.preparer import Preparer
from jobs.progress import report_progress
from jobs.sql.database import reading
from jobs.sql.errors import DatabaseAway
from jobs.sql.tables import leased_work
from jobs.storage import OpenStorage
from jobs.testing import MemoryStorage

SILENCE_S = 300.0


class Process:
    """What a dispatcher's process has in its hands; `now` is its own clock."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.now = 0.0
        self.held = HeldWork(bench.store.work, max_silence_s=SILENCE_S, now=lambda: self.now)

    def preparing(self, open_storage: OpenStorage, at_once: int = 4) -> WorkTask:
        return WorkTask(Preparer(self.bench.store, open_storage), self.held, at_once=at_once)

    def pass_time(self, seconds: float, *, beats: bool = True) -> None:
        """Time goes by in the database and here, and the keeper does what it does."""
        while seconds > 0:
            step = min(20.0, seconds)
            seconds -= step
            self.bench.clock.advance(step)
            self.now += step
            if beats:
                LeaseKeeper([self.held], lease_s=self.held.lease_s).beat()


@pytest.fixture
def here(bench: Bench) -> Process:
    return Process(bench)


@pytest.fixture
def there(bench: Bench) -> Process:
    return Process(bench)


class Inside(MemoryStorage):
    """Calls back in the middle of a listing; all else is ordinary."""

    def __init__(self, action: Callable[[], None], images: int = 3) -> None:
        super().__init__(CONTAINER)
        self._action = action
        self._images = images

    def list_objects(self, prefix: str = "", after: ImageKey | None = None) -> Iterator[ObjectInfo]:
        self._action()
        for i in range(self._images):
            yield ObjectInfo(key=ImageKey(f"{i}.jpg"), size=1)


# -- Found 2: preparing that takes longer than a lease


def test_preparing_that_outlives_its_lease_stays_with_whoever_does_it(
    bench: Bench, here: Process, there: Process
) -> None:
    """One call to the storage that lasts ten leases, as for a directory of millions of names: beats came per object."""
    job_id = bench.store.submit(new_job())

    def long_call() -> None:
        for _ in range(30):
            here.pass_time(20)
            report_progress()
        assert not there.preparing(lambda container: Inside(lambda: None)).step(threading.Event())

    assert here.preparing(lambda container: Inside(long_call)).step(threading.Event())
    job = bench.store.get(job_id)
    assert (job.state, job.counts.total) == (JobState.READY, 3)
    assert work_row(bench, job_id) == (1, 0, 0)


def test_preparing_that_hangs_is_let_go_and_not_taken_again_by_the_same_process(
    bench: Bench, here: Process, there: Process
) -> None:
    job_id = bench.store.submit(new_job())

    def hang() -> None:
        here.pass_time(SILENCE_S + 40)
        assert not here.preparing(lambda container: Inside(lambda: None)).step(threading.Event())
        assert "no progress for 320 s" in str(bench.store.waits_for(job_id))
        assert there.preparing(lambda container: Inside(lambda: None, images=5)).step(threading.Event())

    assert here.preparing(lambda container: Inside(hang)).step(threading.Event())
    job = bench.store.get(job_id)
    assert (job.state, job.counts.total, job.error) == (JobState.READY, 5, None)
    assert here.held.ids == []


def test_a_storage_that_is_silent_within_its_limits_keeps_its_job(bench: Bench, here: Process, there: Process) -> None:
    """60 s x 4 tries without a byte, then an error: the fence check swallowed it when the lease was lost meanwhile."""
    job_id = bench.store.submit(new_job())

    def silent() -> None:
        here.pass_time(240)
        assert not there.preparing(lambda container: Inside(lambda: None)).step(threading.Event())
        raise StorageUnavailable(CONTAINER, "Read timed out")

    assert here.preparing(lambda container: Inside(silent)).step(threading.Event())
    job = bench.store.get(job_id)
    assert (job.state, job.preparation_error) == (JobState.PREPARING, f"{CONTAINER}: Read timed out")
    assert work_row(bench, job_id) == (1, 0, 0)  # an outage costs no attempt


def test_a_dead_job_holds_one_place_and_a_healthy_one_is_prepared_beside_it(bench: Bench, here: Process) -> None:
    """All four places of preparing held one dead job."""
    release = threading.Event()
    dead = bench.store.submit(new_job(source="s3://dead/"))
    fill(bench.storage, [("a.png", picture(1))])

    def open_storage(container: str) -> MemoryStorage:
        return Inside(lambda: release.wait(PATIENCE_S) and None) if container == "s3://dead" else bench.storage

    stop = threading.Event()
    with in_background([here.preparing(open_storage, at_once=2)], stop):
        wait_until(lambda: len(here.held.ids) == 1)
        here.pass_time(SILENCE_S + 60)
        healthy = [bench.store.submit(new_job()) for _ in range(2)]
        wait_until(lambda: all(bench.store.get(job_id).state is JobState.READY for job_id in healthy))
        assert bench.store.get(dead).state is JobState.PREPARING
        assert (here.held.count(WorkKind.PREPARATION), work_row(bench, dead)[2]) == (1, 1)
        release.set()


# -- Found 3: completion reports


def test_a_report_whose_storage_hangs_is_counted_and_told(bench: Bench, here: Process, there: Process) -> None:
    reports = ReportBench(bench)
    job_id = reports.finish_shards(entries(4))

    def silent(key: str) -> None:
        here.pass_time(240)
        assert not WorkTask(reports.handler(), there.held).step(threading.Event())
        raise StorageUnavailable("s3://reports", "Read timed out")

    reports.storage.before = silent  # type: ignore[method-assign]
    for attempt in (1, 2):
        assert WorkTask(reports.handler(), here.held).step(threading.Event())
        job = bench.store.get(job_id)
        assert (job.state, job.report_error) == (JobState.COMPLETING, "s3://reports: Read timed out")
        assert work_row(bench, job_id, WorkKind.COMPLETION_REPORT)[1:] == (attempt, 0)
        bench.clock.advance(1000)
    reports.storage.before = lambda key: None  # type: ignore[method-assign]
    assert WorkTask(reports.handler(), there.held).step(threading.Event())
    assert bench.store.get(job_id).state is JobState.COMPLETED


# -- bounds


def test_work_that_ends_whoever_takes_it_is_given_up_in_the_end(bench: Bench, here: Process) -> None:
    """`kill -9` by the kernel, say, for the memory that this corpus takes."""
    job_id = bench.store.submit(new_job())
    for _ in range(MAX_VANISHED):
        bench.store.claim_preparation(60)  # and nothing more is heard
        bench.clock.advance(61)
    assert bench.store.get(job_id).state is JobState.PREPARING
    bench.clock.advance(61)
    assert here.preparing(lambda container: Scripted(3)).step(threading.Event())
    job = bench.store.get(job_id)
    assert job.state is JobState.FAILED
    assert job.error == f"preparing it was given up: {MAX_VANISHED} times its worker vanished"


def test_a_surprise_is_tried_again_a_few_times(bench: Bench, here: Process) -> None:
    bench.store.submit(new_job())
    given_up: list[str] = []

    class Surprising:
        kind = WorkKind.PREPARATION

        def handle(self, work: Work, hold: Hold, stop: threading.Event) -> None:
            raise ZeroDivisionError("so")

        def give_up(self, work: Work, why: str) -> None:
            given_up.append(why)

    for _ in range(task_module.MAX_SURPRISES):
        assert given_up == []
        assert WorkTask(Surprising(), here.held).step(threading.Event())
        bench.clock.advance(100)
    assert given_up == ["ZeroDivisionError: so"]


# -- bad days of the database


def test_a_database_that_is_away_while_work_is_done_costs_no_attempt(
    bench: Bench, here: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_module, "_DATABASE_PAUSE_S", 0.0)
    job_id = bench.store.submit(new_job())
    real, away = bench.store.work.release, [None] * 3

    def release(work: Work) -> None:
        if away:
            away.pop()
            raise DatabaseAway("", {}, Exception("gone"))
        real(work)

    monkeypatch.setattr(bench.store.work, "release", release)

    def lost() -> None:
        raise DatabaseAway("", {}, Exception("gone"))

    assert here.preparing(lambda container: Inside(lost)).step(threading.Event())
    assert work_row(bench, job_id) == (1, 0, 0)
    assert here.preparing(lambda container: Inside(lambda: None)).step(threading.Event())
    assert bench.store.get(job_id).state is JobState.READY


def test_nothing_that_goes_wrong_ends_the_keeper(bench: Bench, here: Process) -> None:
    bench.store.submit(new_job())
    (work,) = bench.store.work.claim(WorkKind.PREPARATION, 1, 60)
    here.held.hold(work)

    class Broken:
        def extend(self) -> None:
            raise ZeroDivisionError

    class Away:
        def extend(self) -> None:
            raise DatabaseAway("", {}, Exception("gone"))

    bench.clock.advance(50)
    assert not LeaseKeeper([Broken(), Away(), here.held], lease_s=60).beat()
    bench.clock.advance(50)
    assert bench.store.claim_preparation(60) is None


def test_a_holder_that_lost_its_work_hears_of_it_at_its_next_step(bench: Bench, here: Process) -> None:
    job_id = bench.store.submit(new_job())
    (work,) = bench.store.work.claim(WorkKind.PREPARATION, 1, 60)
    hold = here.held.hold(work)
    hold.check(threading.Event())
    bench.store.cancel(job_id)
    here.held.extend()
    with pytest.raises(WorkLost):
        hold.check(threading.Event())


def work_row(bench: Bench, job_id: JobId, kind: WorkKind = WorkKind.PREPARATION) -> tuple[int, int, int]:
    """Fence, failed attempts, vanished holders."""
    with reading(bench.engine) as connection:
        found = select(leased_work).where(leased_work.c.job_id == job_id, leased_work.c.kind == kind.value)
        row = connection.execute(found).one()
        return row.fence, row.attempt, row.vanished
