"""The images of a job as small pictures, filtered, a page at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Response

from jobs.domain import ReviewState
from jobs.domain.reviews import SecondLook
from jobs.domain.signals import SignalKind
from jobs.errors import ErrorCode
from nclscreen.api.wired import Wired
from nclscreen.pages.drawing import Drawn
from nclscreen.pages.routes import PageRoute
from nclscreen.pages.wanted import ImagesAsked

router = APIRouter(prefix="/jobs/{job_id}", route_class=PageRoute)


@router.get("/gallery")
def get_gallery(job_id: str, wanted: Annotated[ImagesAsked, Query()], wiring: Wired, pages: Drawn) -> Response:
    """One page of them; the next one is behind its cursor."""
    job = wiring.jobs.get(job_id)
    page = wiring.verdicts.page(wanted.filter(wiring, job), wanted.limit, wanted.cursor)
    blind = wanted.second_look is SecondLook.WANTED
    return pages.draw(
        "gallery",
        job=job,
        images=[replace(found, review=None) for found in page.items] if blind else page.items,
        wanted=wanted,
        next_cursor=page.next_cursor,
        careful=pages.settings.careful and not wanted.clear,
        codes=list(ErrorCode),
        signals=list(SignalKind),
        review_states=list(ReviewState),
    )
