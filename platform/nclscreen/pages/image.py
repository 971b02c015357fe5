"""One image: what the model saw, what people said, and where they say it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Response
from pydantic import Field

from jobs.domain import Decision
from jobs.errors import ReviewConflict
from jobs.verdicts import FoundVerdict
from nclscreen.api.lists import Strict
from nclscreen.api.reviews import reviewer_of
from nclscreen.api.verdicts import VerdictHere
from nclscreen.api.wired import Wired
from nclscreen.pages.drawing import Drawn, Pages, own_address, see
from nclscreen.pages.routes import PageRoute
from nclscreen.pages.shown_verdict import ShownVerdict, shown_verdict
from nclscreen.services.reviewing import ReviewRequest, review, undo_review
from nclscreen.wiring import Wiring

router = APIRouter(prefix="/jobs/{job_id}/images/{ordinal}", route_class=PageRoute)


class ReviewForm(Strict):
    """What somebody says of the image."""

    decision: Decision
    note: str | None = Field(None, max_length=2000)
    severity: int | None = Field(None, ge=1, le=5)
    #: the number of the last review that was seen
    expected: int | None = Field(None, ge=0)
    #: where to go on
    next: str | None = None


class UndoForm(Strict):
    """Take the last decision back."""

    expected: int | None = Field(None, ge=0)
    next: str | None = None


@router.get("")
def get_image(found: VerdictHere, wiring: Wired, pages: Drawn, clear: bool = False) -> Response:
    """All there is to know of it."""
    return pages.draw(
        "image",
        item=_shown(wiring, found),
        job=wiring.jobs.get(found.job_id),
        careful=pages.settings.careful and not clear,
    )


@router.post("/reviews")
def create_review(found: VerdictHere, form: Annotated[ReviewForm, Form()], wiring: Wired, pages: Drawn) -> Response:
    """Write it, if nobody has said anything since; then go on to `next`."""
    request = ReviewRequest(
        decision=form.decision,
        reviewer=_reviewer(pages),
        note=form.note,
        severity=form.severity,
        expected=form.expected,
    )
    try:
        review(wiring, found, request)
    except ReviewConflict as error:
        return _told(wiring, found, pages, error)
    return _went_on(wiring, found, pages, form.next)


@router.post("/undo")
def undo(found: VerdictHere, form: Annotated[UndoForm, Form()], wiring: Wired, pages: Drawn) -> Response:
    """By one more review: what was said before holds again."""
    try:
        undo_review(wiring, found, _reviewer(pages), form.expected)
    except ReviewConflict as error:
        return _told(wiring, found, pages, error)
    return _went_on(wiring, found, pages, form.next)


def _reviewer(pages: Pages) -> str:
    assert pages.caller is not None  # noqa: S101 - a route that draws knows who asks
    own_name = pages.settings.name if pages.caller.key_id is None and pages.caller.project is None else None
    return reviewer_of(pages.caller, own_name)


def _shown(wiring: Wiring, found: FoundVerdict) -> ShownVerdict:
    return shown_verdict(found, wiring.reviews.of(found.ref))


def _went_on(wiring: Wiring, found: FoundVerdict, pages: Pages, following: str | None) -> Response:
    again = wiring.verdicts.at(found.ref)
    if pages.is_part:
        return pages.draw("parts/queued", item=_shown(wiring, again), behind=following)
    return see(own_address(following, _shown(wiring, again).path))


def _told(wiring: Wiring, found: FoundVerdict, pages: Pages, error: ReviewConflict) -> Response:
    """Who was not the last to speak sees what was said."""
    item = _shown(wiring, wiring.verdicts.at(found.ref))
    if pages.is_part:
        return pages.draw("parts/queued", 412, item=item, behind=None)
    job = wiring.jobs.get(found.job_id)
    return pages.draw("image", 412, item=item, job=job, careful=pages.settings.careful, conflict=str(error))
