"""What a tick begins, passes over, or waits for."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from support.screened_jobs import photo_bytes

from jobs.domain.access import ProjectName
from jobs.domain.schedules import Misfire, NewSchedule, Overlap, Schedule, ScheduleKind, Tick, TickState
from jobs.domain.states import JobState
from jobs.leased_work.held import HeldWork
from jobs.leased_work.leases import WorkLeases
from jobs.leased_work.task import WorkTask
from jobs.schedules.schedule_store import ScheduleStore
from jobs.testing import MovableClock
from nclscreen.services.ticking import TickHandler
from nclscreen.wiring import Wiring


@pytest.fixture
def clock(wiring: Wiring) -> MovableClock:
    """Of the schedules and of the leases."""
    found = MovableClock()
    wiring.__dict__["schedules"] = ScheduleStore(wiring.engine, found)
    wiring.__dict__["held_work"] = HeldWork(WorkLeases(wiring.engine, found))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "corpus"
    made.mkdir()
    (made / "a.jpg").write_bytes(photo_bytes())
    return made


def scheduled(wiring: Wiring, source: Path | str, **fields: object) -> Schedule:
    values: dict[str, object] = {"name": "nightly", "kind": ScheduleKind.SCREEN, "cron": "0 * * * *"}
    return wiring.schedules.add(NewSchedule(request={"source": str(source)}, **(values | fields)))  # type: ignore[arg-type]


def tick(wiring: Wiring, clock: MovableClock, schedule: Schedule) -> Tick:
    """An hour passes, and what is due is begun."""
    clock.advance(3600)
    wiring.schedules.make_ticks()
    begin(wiring)
    return wiring.schedules.ticks(schedule.id)[0]


def begin(wiring: Wiring) -> bool:
    return WorkTask(TickHandler(wiring), wiring.held_work).step(threading.Event())


def test_each_tick_screens_what_is_new_since_the_one_before(wiring: Wiring, clock: MovableClock, folder: Path) -> None:
    schedule = scheduled(wiring, folder)
    first = tick(wiring, clock, schedule)
    assert first.state is TickState.STARTED
    job = wiring.jobs.get(first.subject or "")
    assert (job.options.name, job.filters.modified_after) == ("nightly", None)
    wiring.jobs.cancel(job.id)
    second = tick(wiring, clock, schedule)
    later = wiring.jobs.get(second.subject or "")
    assert later.filters.modified_after == pytest.approx(first.due_at, abs=0.01)
    assert len(wiring.jobs.latest()) == 2


def test_a_tick_that_is_begun_twice_makes_one_job(wiring: Wiring, clock: MovableClock, folder: Path) -> None:
    """Who began it died before he could say so."""
    schedule = scheduled(wiring, folder)
    first = tick(wiring, clock, schedule)
    TickHandler(wiring)._submit(schedule, first, None)
    assert [job.id for job in wiring.jobs.latest()] == [first.subject]


def test_what_is_under_way_is_waited_for_or_passed_over(wiring: Wiring, clock: MovableClock, folder: Path) -> None:
    skip = scheduled(wiring, folder, name="skip")
    queue = scheduled(wiring, folder, name="queue", overlap=Overlap.QUEUE)
    clock.advance(3600)
    wiring.schedules.make_ticks()
    while begin(wiring):
        pass
    clock.advance(3600)
    wiring.schedules.make_ticks()
    while begin(wiring):
        pass
    skipped, waiting = wiring.schedules.ticks(skip.id)[0], wiring.schedules.ticks(queue.id)[0]
    assert skipped.state is TickState.SKIPPED
    assert "is under way still" in (skipped.note or "")
    assert waiting.state is TickState.WAITING
    for job in wiring.jobs.latest():
        wiring.jobs.cancel(job.id)
        assert wiring.jobs.get(job.id).state in (JobState.CANCELLED, JobState.CANCELLING)
    clock.advance(60)
    assert begin(wiring)
    assert wiring.schedules.ticks(queue.id)[0].state is TickState.STARTED


def test_what_cannot_be_begun_says_why(wiring: Wiring, clock: MovableClock, tmp_path: Path) -> None:
    failed = tick(wiring, clock, scheduled(wiring, tmp_path / "gone"))
    assert failed.state is TickState.FAILED
    assert "gone" in (failed.note or "")
    wiring.schedules.remove("nightly")
    wiring.projects.create("lab")
    of_lab = scheduled(wiring, tmp_path, project=ProjectName("lab"), misfire=Misfire.ONCE)
    refused = tick(wiring, clock, of_lab)
    assert (refused.state, "in no place of its project" in (refused.note or "")) == (TickState.FAILED, True)


def test_a_schedule_that_is_gone_begins_nothing(wiring: Wiring, clock: MovableClock, folder: Path) -> None:
    schedule = scheduled(wiring, folder)
    clock.advance(3600)
    wiring.schedules.make_ticks()
    wiring.schedules.remove(schedule.id)
    assert begin(wiring)
    assert wiring.schedules.ticks(schedule.id)[0].state is TickState.SKIPPED
    assert wiring.jobs.latest() == []
