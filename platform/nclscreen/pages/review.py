"""Image after image of a job, each to be decided: the next ones are on the page already."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from jobs.domain import Job, VerdictRef
from jobs.verdicts import FoundVerdict
from nclscreen.api.wired import Wired
from nclscreen.pages.drawing import Drawn, address
from nclscreen.pages.review_queue import ReviewQueue
from nclscreen.pages.routes import PageRoute
from nclscreen.pages.shown_verdict import shown_verdict
from nclscreen.pages.wanted import ReviewAsked
from nclscreen.services.reviewing import job_reviews
from nclscreen.wiring import Wiring

router = APIRouter(prefix="/jobs/{job_id}", route_class=PageRoute)


@router.get("/review")
def get_review(job_id: str, wanted: Annotated[ReviewAsked, Query()], wiring: Wired, pages: Drawn) -> Response:
    """The image at `at`, or the first; around it those that the filters give from the cursor on."""
    queue = _queue(wiring, wiring.jobs.get(job_id), wanted)
    if queue.current is None:
        return pages.draw("review_done", queue=queue, reviews=job_reviews(wiring, job_id))
    return pages.draw(
        "review",
        queue=queue,
        job=queue.job,
        wanted=wanted,
        reviews=job_reviews(wiring, job_id),
        careful=pages.settings.careful and not wanted.clear,
    )


def _queue(wiring: Wiring, job: Job, wanted: ReviewAsked) -> ReviewQueue:
    page = wiring.verdicts.page(wanted.filter(wiring, job), wanted.limit, wanted.cursor)
    found = _with_asked_for(wiring, job, page.items, wanted.at)
    said = wiring.reviews.of_images(job.id, [each.verdict.ordinal for each in found])
    return ReviewQueue(
        job=job,
        items=[shown_verdict(each, said[each.verdict.ordinal]) for each in found],
        at=wanted.at,
        here=address(f"/jobs/{job.id}/review", wanted.asked, cursor=wanted.cursor),
        behind=None
        if page.next_cursor is None
        else address(f"/jobs/{job.id}/review", wanted.asked, cursor=page.next_cursor),
        gallery=address(f"/jobs/{job.id}/gallery", wanted.asked),
    )


def _with_asked_for(
    wiring: Wiring, job: Job, page: tuple[FoundVerdict, ...], ordinal: int | None
) -> tuple[FoundVerdict, ...]:
    """The image asked for comes first where the filters do not give it: it may have just been decided."""
    if ordinal is None or any(found.verdict.ordinal == ordinal for found in page):
        return page
    return (wiring.verdicts.at(VerdictRef(job_id=job.id, ordinal=ordinal)), *page)
