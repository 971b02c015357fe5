"""What people tell a job by its buttons."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Response
from pydantic import Field

from jobs.errors import NothingToRetry
from nclscreen.api.lists import Strict
from nclscreen.api.wired import Wired
from nclscreen.pages.drawing import see
from nclscreen.pages.routes import PageRoute
from nclscreen.services.reflagging import ReflagRequest, begin_reflagging
from nclscreen.services.rescreening import RescreenRequest, rescreen
from nclscreen.services.retrying import RetryRequest, retry
from nclscreen.services.submission_request import LARGEST_PRIORITY

router = APIRouter(prefix="/jobs/{job_id}", route_class=PageRoute)


class PriorityForm(Strict):
    """Where in the queue."""

    priority: int = Field(ge=-LARGEST_PRIORITY, le=LARGEST_PRIORITY)


class ThresholdForm(Strict):
    """From which score on it is to flag."""

    threshold: float = Field(ge=0, le=1)


@router.post("/confirm")
def confirm_job(job_id: str, wiring: Wired) -> Response:
    return _seen(wiring.jobs.confirm(job_id).id)


@router.post("/pause")
def pause_job(job_id: str, wiring: Wired) -> Response:
    return _seen(wiring.jobs.pause(job_id).id)


@router.post("/resume")
def resume_job(job_id: str, wiring: Wired) -> Response:
    return _seen(wiring.jobs.resume(job_id).id)


@router.post("/cancel")
def cancel_job(job_id: str, wiring: Wired) -> Response:
    return _seen(wiring.jobs.cancel(job_id).id)


@router.post("/priority")
def prioritize_job(job_id: str, form: Annotated[PriorityForm, Form()], wiring: Wired) -> Response:
    return _seen(wiring.jobs.prioritize(job_id, form.priority).id)


@router.post("/retry")
def retry_job(job_id: str, wiring: Wired) -> Response:
    """Its failed images once more, as a job of their own, which is shown."""
    found = retry(wiring, RetryRequest(job_id=job_id))
    if found.job_id is None:
        raise NothingToRetry(found.earlier_id)
    return _seen(found.job_id)


@router.post("/rescreen")
def rescreen_job(job_id: str, wiring: Wired) -> Response:
    """All of its images once more, by the current model, as a job of their own, which is shown."""
    found = rescreen(wiring, RescreenRequest(job_id=job_id))
    if found.job_id is None:
        raise NothingToRetry(found.earlier_id)
    return _seen(found.job_id)


@router.post("/threshold")
def reflag_job(job_id: str, form: Annotated[ThresholdForm, Form()], wiring: Wired) -> Response:
    """Have a dispatcher rewrite the verdicts that cross another threshold."""
    return _seen(begin_reflagging(wiring, ReflagRequest(job_id=job_id, threshold=form.threshold)).id)


@router.post("/delete")
def delete_job(job_id: str, wiring: Wired) -> Response:
    """Have a dispatcher remove it."""
    wiring.jobs.begin_deletion(job_id)
    return see("/jobs")


def _seen(job_id: str) -> Response:
    return see(f"/jobs/{job_id}")
