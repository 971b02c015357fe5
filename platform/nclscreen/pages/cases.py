"""The cases of a job, the most suspect first."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from jobs.verdicts.cases import CaseFilter
from nclscreen.api.wired import Wired
from nclscreen.pages.drawing import Drawn
from nclscreen.pages.routes import PageRoute
from nclscreen.pages.wanted import FromForm

router = APIRouter(prefix="/jobs/{job_id}", route_class=PageRoute)


class CasesAsked(FromForm):
    """Which cases, and in which order."""

    limit: int = Field(50, ge=1, le=200)
    flagged: bool | None = None
    unreviewed: bool | None = None
    sort: Literal["score", "name"] = "score"


@router.get("/cases")
def get_cases(job_id: str, wanted: Annotated[CasesAsked, Query()], wiring: Wired, pages: Drawn) -> Response:
    """One page of them; each leads to its images."""
    job = wiring.jobs.get(job_id)
    asked = CaseFilter(
        job_id=job.id, flagged=wanted.flagged, unreviewed=wanted.unreviewed, by_name=wanted.sort == "name"
    )
    page = wiring.verdicts.cases(asked, wanted.limit, wanted.cursor)
    return pages.draw("cases", job=job, cases=page.items, wanted=wanted, next_cursor=page.next_cursor)
