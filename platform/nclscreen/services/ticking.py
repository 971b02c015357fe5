"""What is due is begun: a screening job of what is new, or a run of retraining."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from jobs.domain import Work, WorkKind
from jobs.domain.access import DEFAULT_PROJECT
from jobs.domain.retraining import OVER
from jobs.domain.schedules import Overlap, Schedule, ScheduleKind, Tick, TickState
from jobs.domain.states import FINAL
from jobs.domain.times import instant
from jobs.errors import JobNotFound, JobsError, StorageUnavailable
from jobs.leased_work.held import Hold
from jobs.retraining.run_store import RunNotFound
from jobs.schedules.errors import ScheduleNotFound
from jobs.sql.database import writing
from ncl_model.errors import NclModelError
from nclscreen.project_wiring import ProjectWiring
from nclscreen.services.errors import InvalidRequest
from nclscreen.services.retrain_request import RetrainRequest
from nclscreen.services.submission import submit
from nclscreen.services.submission_request import SubmissionRequest
from nclscreen.wiring import Wiring

#: before what is under way, or away, is looked at again
_AGAIN_S = 30.0
_LISTS = frozenset({"tags", "suffixes", "storage_classes"})
#: set by the schedule itself
_NOT_ASKED = frozenset({"token", "confirm"})


def screen_request(document: Mapping[str, Any]) -> SubmissionRequest:
    """From plain JSON types. Raises InvalidRequest."""
    known = {field.name for field in fields(SubmissionRequest)} - _NOT_ASKED
    if unknown := sorted(set(document) - known):
        raise InvalidRequest(unknown[0], f"is unknown; there are {', '.join(sorted(known))}")
    if "source" not in document:
        raise InvalidRequest("source", "name what to screen")
    given: dict[str, Any] = {name: tuple(value) if name in _LISTS else value for name, value in document.items()}
    return SubmissionRequest(**given)


class TickHandler:
    """Begins ticks; a `jobs.leased_work.task.Handler`."""

    kind = WorkKind.TICK

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring

    def handle(self, work: Work, hold: Hold, stop: threading.Event) -> None:
        """Begin it, pass it over, or have it wait. Raises WorkLost, or one of DATABASE_AWAY: nothing was begun then.

        Begun twice it is the same job or run: jobs have a token, runs are made with the tick in one transaction.
        """
        store = self._wiring.schedules
        schedule_id, _, due = work.subject.rpartition("@")
        tick = store.tick(schedule_id, float(due))
        try:
            schedule = store.get(schedule_id)
        except ScheduleNotFound:
            store.settle(work, tick, TickState.SKIPPED, note="its schedule was removed")
            return
        before = store.before(tick)
        if before is not None and (why := self._under_way(before)) is not None:
            if schedule.overlap is Overlap.QUEUE:
                store.work.release(work, after_s=_AGAIN_S, reason=why)
            else:
                store.settle(work, tick, TickState.SKIPPED, note=why)
            return
        try:
            self._begin(work, schedule, tick, before)
        except StorageUnavailable as error:
            store.work.release(work, after_s=_AGAIN_S, reason=str(error))
        except (JobsError, NclModelError) as error:
            store.settle(work, tick, TickState.FAILED, note=str(error))

    def give_up(self, work: Work, why: str) -> None:
        """It ends whoever takes it."""
        schedule_id, _, due = work.subject.rpartition("@")
        store = self._wiring.schedules
        store.settle(work, store.tick(schedule_id, float(due)), TickState.FAILED, note=why)

    def _begin(self, work: Work, schedule: Schedule, tick: Tick, before: Tick | None) -> None:
        store = self._wiring.schedules
        if schedule.kind is ScheduleKind.SCREEN:
            job_id = self._submit(schedule, tick, before)
            store.settle(work, tick, TickState.STARTED, subject=job_id)
            return
        request = RetrainRequest.of(schedule.request)
        request.check()
        with writing(self._wiring.engine) as connection:
            run_id = self._wiring.runs.create_in(connection, request.document, schedule_id=schedule.id)
            store.work.finish_in(connection, work)
            store.settle_in(connection, tick, TickState.STARTED, subject=run_id)

    def _submit(self, schedule: Schedule, tick: Tick, before: Tick | None) -> str:
        wiring = self._wiring
        if schedule.project != DEFAULT_PROJECT:
            wiring = ProjectWiring(wiring, wiring.projects.get(schedule.project))
        asked = dict(schedule.request) | {"name": schedule.request.get("name") or schedule.name}
        if before is not None and "modified_after" not in asked:
            asked["modified_after"] = instant(before.due_at)
        return submit(wiring, replace(screen_request(asked), token=f"tick {tick.work}")).job_id

    def _under_way(self, tick: Tick) -> str | None:
        """What keeps the tick behind it from beginning; None where nothing does."""
        if tick.subject is None:
            return "the one before has not begun yet"
        try:
            run = self._wiring.runs.get(tick.subject)
            return None if run.state in OVER else f"run {run.id} is under way still"
        except RunNotFound:
            pass
        try:
            job = self._wiring.jobs.get(tick.subject)
        except JobNotFound:
            return None
        return None if job.state in FINAL else f"job {job.id} is under way still"
