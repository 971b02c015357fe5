"""Schedules and runs of retraining over HTTP. They are the installation's: it takes a key of the project default."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from jobs.domain.schedules import Misfire, Overlap, ScheduleKind
from nclscreen.api.lists import Strict
from nclscreen.api.models import operating
from nclscreen.api.wired import Wired
from nclscreen.services.retrain_request import RetrainRequest
from nclscreen.services.retraining import run_document
from nclscreen.services.scheduling import add_schedule, retrain, schedule_document, tick_document

router = APIRouter(tags=["retraining"], dependencies=[Depends(operating)])


class ScheduleBody(Strict):
    """Something to be done again and again."""

    name: str = Field(min_length=1, max_length=100)
    kind: ScheduleKind
    cron: str = Field(description="five fields: minute, hour, day, month, day of the week")
    zone: str = "UTC"
    overlap: Overlap = Overlap.SKIP
    misfire: Misfire = Misfire.ONCE
    after_reviews: int | None = Field(None, ge=1, description="also as soon as so many reviews are new")
    request: dict[str, Any] = Field(description="as POST /v1/jobs takes it, or as POST /v1/runs")


@router.get("/schedules")
def list_schedules(wiring: Wired) -> dict[str, Any]:
    """The schedules, each with its next five times."""
    return {"data": [schedule_document(each, time.time()) for each in wiring.schedules.all()]}


@router.post("/schedules", status_code=201)
def create_schedule(body: ScheduleBody, wiring: Wired) -> dict[str, Any]:
    """Have something done again and again, from now on."""
    return schedule_document(add_schedule(wiring, **body.model_dump()), time.time())


@router.get("/schedules/{name}")
def get_schedule(name: str, wiring: Wired) -> dict[str, Any]:
    """One schedule, by name or id, and what came of its last times."""
    found = wiring.schedules.get(name)
    ticks = [tick_document(tick) for tick in wiring.schedules.ticks(found.id)]
    return schedule_document(found, time.time()) | {"ticks": ticks}


@router.post("/schedules/{name}/pause")
def pause_schedule(name: str, wiring: Wired) -> dict[str, Any]:
    """Let it be due no more."""
    return schedule_document(wiring.schedules.pause(name), time.time())


@router.post("/schedules/{name}/resume")
def resume_schedule(name: str, wiring: Wired) -> dict[str, Any]:
    """Have it be due again from now on; nothing is made up for."""
    return schedule_document(wiring.schedules.pause(name, paused=False), time.time())


@router.post("/schedules/{name}/run", status_code=201)
def run_schedule(name: str, wiring: Wired) -> dict[str, Any]:
    """Do it now, too."""
    return tick_document(wiring.schedules.run_now(name))


@router.delete("/schedules/{name}")
def delete_schedule(name: str, wiring: Wired) -> dict[str, Any]:
    """Forget it; what it began stays."""
    return schedule_document(wiring.schedules.remove(name), time.time())


@router.get("/runs")
def list_runs(
    wiring: Wired, limit: Annotated[int, Query(ge=1, le=1000, description="at most so many")] = 20
) -> dict[str, Any]:
    """Runs of retraining, the newest first."""
    return {"data": [run_document(run) for run in wiring.runs.latest(limit)]}


@router.post("/runs", status_code=201)
def create_run(body: dict[str, Any], wiring: Wired) -> dict[str, Any]:
    """Retrain once: fields as `nclscreen retrain` takes them. A running `nclscreen up` does it."""
    return run_document(retrain(wiring, RetrainRequest.of(body)))


@router.get("/runs/{run_id}")
def get_run(run_id: str, wiring: Wired) -> dict[str, Any]:
    """Where a run stands, what it was trained on, what the gate measured and decided."""
    return run_document(wiring.runs.get(run_id))


@router.post("/runs/{run_id}/cancel")
def cancel_run(run_id: str, wiring: Wired) -> dict[str, Any]:
    """Have it end; the champion stays."""
    return run_document(wiring.runs.cancel(run_id))
