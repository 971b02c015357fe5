"""One decision for all images that pass the filters of a gallery: counted, confirmed, and taken back as one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Response
from pydantic import Field

from jobs.domain import Decision
from nclscreen.api.admission import Asking
from nclscreen.api.lists import Strict
from nclscreen.api.reviews import reviewer_of
from nclscreen.api.wired import Wired
from nclscreen.pages.drawing import Drawn, address
from nclscreen.pages.routes import PageRoute
from nclscreen.pages.wanted import ImagesAsked
from nclscreen.services.bulk_reviewing import count_matching, review_all, undo_bulk
from nclscreen.services.reviewing import ReviewRequest

router = APIRouter(prefix="/jobs/{job_id}/decide", route_class=PageRoute)


class DecisionForm(ImagesAsked):
    """The filters once more, what their images are, and how many they were."""

    decision: Decision
    expected_count: int = Field(ge=0)
    note: str | None = Field(None, max_length=2000)


class BulkForm(Strict):
    """Which decisions are taken back."""

    bulk: str = Field(min_length=1, max_length=64)


@router.get("")
def get_decide(job_id: str, wanted: Annotated[ImagesAsked, Query()], wiring: Wired, pages: Drawn) -> Response:
    """How many images pass, and what they may be said to be."""
    job = wiring.jobs.get(job_id)
    count = count_matching(wiring, wanted.filter(wiring, job))
    return pages.draw("decide", job=job, wanted=wanted, count=count, decisions=list(Decision))


@router.post("")
def decide(job_id: str, form: Annotated[DecisionForm, Form()], caller: Asking, wiring: Wired, pages: Drawn) -> Response:
    """Say it of all of them, and show what became of it."""
    job = wiring.jobs.get(job_id)
    request = ReviewRequest(decision=form.decision, reviewer=reviewer_of(caller, None), note=form.note)
    done = review_all(wiring, form.filter(wiring, job), request, form.expected_count)
    filters = {name: value for name, value in form.asked.items() if name in ImagesAsked.model_fields}
    gallery = address(f"/jobs/{job.id}/gallery", filters)
    return pages.draw("decided", job=job, done=done, decision=form.decision, gallery=gallery)


@router.post("/undo")
def undo(job_id: str, form: Annotated[BulkForm, Form()], caller: Asking, wiring: Wired, pages: Drawn) -> Response:
    """Take them back where they still hold."""
    job = wiring.jobs.get(job_id)
    done = undo_bulk(wiring, form.bulk, reviewer_of(caller, None))
    return pages.draw("decided", job=job, done=done, decision=None, gallery=f"/jobs/{job.id}/gallery")
