"""One image: what the model saw, what people said, and where they say it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Response
from pydantic import Field

from jobs.domain import Decision
from jobs.domain.drawings import DrawingKind
from jobs.errors import ReviewConflict
from jobs.verdicts import FoundVerdict
from nclscreen.api.lists import Strict
from nclscreen.api.verdicts import VerdictHere
from nclscreen.api.wired import Wired
from nclscreen.pages.desk import desk_of, reviewer
from nclscreen.pages.drawing import Drawn, Pages, own_address, see
from nclscreen.pages.routes import PageRoute
from nclscreen.pages.shown_verdict import ShownVerdict, shown_verdict
from nclscreen.services.drawings import NewDrawing
from nclscreen.services.review_leasing import held_by_others
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
    #: a second look
    blind: bool = False
    #: what was drawn: a PNG in base64; with `confirmed` alone
    drawing: str | None = None
    drawing_kind: DrawingKind = DrawingKind.MASK
    #: where to go on
    next: str | None = None


class UndoForm(Strict):
    """Take the last decision back."""

    expected: int | None = Field(None, ge=0)
    #: of a second look: what was said before is not shown
    blind: bool = False
    next: str | None = None


@router.get("")
def get_image(found: VerdictHere, wiring: Wired, pages: Drawn, clear: bool = False) -> Response:
    """All there is to know of it."""
    return pages.draw(
        "image",
        item=_shown(wiring, found),
        job=wiring.jobs.get(found.job_id),
        careful=pages.settings.careful and not clear,
        held=_held(wiring, found, pages),
    )


@router.post("/reviews")
def create_review(found: VerdictHere, form: Annotated[ReviewForm, Form()], wiring: Wired, pages: Drawn) -> Response:
    """Write it, if nobody has said anything since; then go on to `next`."""
    request = ReviewRequest(
        decision=form.decision,
        reviewer=reviewer(pages),
        note=form.note,
        severity=form.severity,
        expected=form.expected,
        blind=form.blind,
        drawing=None if form.drawing is None else NewDrawing.from_base64(form.drawing_kind, form.drawing),
    )
    try:
        review(wiring, found, request, holder=desk_of(pages))
    except ReviewConflict as error:
        return _told(wiring, found, pages, error, blind=form.blind)
    return _went_on(wiring, found, pages, form.next, blind=form.blind)


@router.post("/undo")
def undo(found: VerdictHere, form: Annotated[UndoForm, Form()], wiring: Wired, pages: Drawn) -> Response:
    """By one more review: what was said before holds again."""
    try:
        undo_review(wiring, found, reviewer(pages), form.expected)
    except ReviewConflict as error:
        return _told(wiring, found, pages, error, blind=form.blind)
    return _went_on(wiring, found, pages, form.next, blind=form.blind)


def _held(wiring: Wiring, found: FoundVerdict, pages: Pages) -> str | None:
    """Who else looks at it."""
    ordinal = found.verdict.ordinal
    lease = held_by_others(wiring, found.job_id, desk_of(pages), [ordinal]).get(ordinal)
    return None if lease is None else lease.name


def _shown(wiring: Wiring, found: FoundVerdict, blind_for: str | None = None) -> ShownVerdict:
    return shown_verdict(found, wiring.reviews.of(found.ref), blind_for=blind_for)


def _went_on(wiring: Wiring, found: FoundVerdict, pages: Pages, following: str | None, *, blind: bool) -> Response:
    again = _shown(wiring, wiring.verdicts.at(found.ref), reviewer(pages) if blind else None)
    if pages.is_part:
        return pages.draw("parts/queued", item=again, behind=following)
    return see(own_address(following, again.path))


def _told(wiring: Wiring, found: FoundVerdict, pages: Pages, error: ReviewConflict, *, blind: bool) -> Response:
    """Who was not the last to speak sees what was said."""
    item = _shown(wiring, wiring.verdicts.at(found.ref), reviewer(pages) if blind else None)
    if pages.is_part:
        return pages.draw("parts/queued", 412, item=item, behind=None)
    job = wiring.jobs.get(found.job_id)
    return pages.draw("image", 412, item=item, job=job, careful=pages.settings.careful, held=None, conflict=str(error))
