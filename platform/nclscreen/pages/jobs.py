"""The jobs, newest first."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from jobs.domain.states import FINAL, JobState
from nclscreen.api.wired import Wired
from nclscreen.pages.drawing import Drawn, see
from nclscreen.pages.routes import PageRoute
from nclscreen.pages.wanted import JobsAsked
from nclscreen.services.job_view import jobs_waiting, models_waited_for

router = APIRouter(route_class=PageRoute)


@router.get("/")
def get_start() -> Response:
    """Where everybody begins."""
    return see("/jobs")


@router.get("/jobs")
def get_jobs(wanted: Annotated[JobsAsked, Query()], wiring: Wired, pages: Drawn) -> Response:
    """A page of jobs; it keeps itself fresh while one of them goes on."""
    page = wiring.jobs.page(wanted.filter, wanted.limit, wanted.cursor)
    return pages.draw(
        "jobs",
        jobs=page.items,
        waiting=jobs_waiting(wiring, page.items, models_waited_for(wiring, page.items)),
        wanted=wanted,
        next_cursor=page.next_cursor,
        states=list(JobState),
        live=any(job.state not in FINAL for job in page.items),
    )
