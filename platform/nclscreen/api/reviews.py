"""Reviews: what people say of verdicts."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import Field

from jobs.domain import Decision
from jobs.domain.access import Caller, Scope
from jobs.domain.drawings import DrawingKind
from nclscreen.api.admission import Asking
from nclscreen.api.lists import Paged, PageDocument, Strict
from nclscreen.api.refusals import NotAllowed
from nclscreen.api.verdicts import VerdictHere, VerdictsFilter
from nclscreen.api.wired import Wired
from nclscreen.documents import review_document
from nclscreen.services.bulk_reviewing import count_matching, review_all, undo_bulk
from nclscreen.services.drawings import NewDrawing
from nclscreen.services.errors import InvalidRequest
from nclscreen.services.reviewing import ReviewRequest, job_reviews, review, reviewer_name, undo_review

router = APIRouter(tags=["reviews"])

#: bytes of a request: a drawing in base64, and the rest
_LARGEST_BODY = 2 << 20
WHO = "who says so; none: the name of the key, and a key may give no other name unless it has the scope admin"


class ReviewBody(Strict):
    """What somebody says of one image."""

    decision: Decision = Field(description="confirmed: tampered; rejected: a false alarm; unsure")
    reviewer: str | None = Field(None, min_length=1, max_length=100, description=WHO)
    note: str | None = Field(None, min_length=1, max_length=2000)
    severity: int | None = Field(None, ge=1, le=5, description="1 hardly matters, 5 is as bad as can be")


class DrawingBody(Strict):
    """Where a photograph was tampered with."""

    kind: DrawingKind = Field(description="mask: 255 tampered, 0 not; scribbles: 255 tampered, 128 not, 0 unknown")
    png: str = Field(description="in base64: 8-bit grey, of the photograph's shape, at most 2048 pixels long and 1 MB")


class OneReviewBody(ReviewBody):
    """The same, perhaps by somebody who has not seen what others say of it, or with a drawing."""

    blind: bool = Field(False, description="a second look, by another person than the first; 409 where none is due")
    drawing: DrawingBody | None = Field(None, description="with confirmed alone")


class BulkBody(ReviewBody):
    """What somebody says of all images that pass a filter."""

    filter: VerdictsFilter = Field(description="which verdicts, as in their list")
    expected_count: int | None = Field(
        None, ge=0, description="images that pass, as they were counted; none: count them, and write nothing"
    )


class UndoBody(Strict):
    """Who takes it back."""

    reviewer: str | None = Field(None, min_length=1, max_length=100, description=WHO)


def reviewer_of(caller: Caller, said: str | None) -> str:
    """In whose name a caller reviews who gave this one, or none. Raises NotAllowed for a name that is not his."""
    if caller.key_id is None and caller.project is None:
        return said or "somebody"
    if said not in (None, caller.name) and not caller.may(Scope.ADMIN):
        raise NotAllowed(f"{caller.name!r} reviews in this name alone, not as {said!r}")
    return said or caller.name


def holder_of(caller: Caller, said: str | None) -> str:
    """As whom a program leases images: one key, and one name. Raises NotAllowed as above, InvalidRequest."""
    return f"{caller.key_id or '-'} {reviewer_name(reviewer_of(caller, said))}"


def _expected(if_match: Annotated[str | None, Header()] = None) -> int | None:
    """The number of the last review that was seen, by the ETag it came with."""
    if if_match is None or if_match.strip() == "*":
        return None
    number = if_match.strip().removeprefix('"').removesuffix('"')
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise InvalidRequest("If-Match", "give the ETag that came with the reviews")
    return int(number)


Expected = Annotated[int | None, Depends(_expected)]
_PLACE = "/jobs/{job_id}/verdicts/{ordinal}/reviews"


@router.get(_PLACE)
def list_reviews(found: VerdictHere, wiring: Wired, response: Response) -> dict[str, Any]:
    """All that was said of one image, the first word first; the last one holds. The ETag is what `If-Match` takes."""
    said = wiring.reviews.of(found.ref)
    response.headers["ETag"] = f'"{len(said)}"'
    return {"data": [review_document(each) for each in said]}


@router.post(_PLACE, status_code=201, max_body_size=_LARGEST_BODY)
def create_review(
    found: VerdictHere, body: OneReviewBody, expected: Expected, caller: Asking, wiring: Wired, response: Response
) -> Any:
    """Say what an image is. With `If-Match`, only if nobody has said anything since (else 412)."""
    drawing = None if body.drawing is None else NewDrawing.from_base64(body.drawing.kind, body.drawing.png)
    said = body.model_dump() | {"reviewer": reviewer_of(caller, body.reviewer), "drawing": drawing}
    written = review(wiring, found, ReviewRequest(**said, expected=expected), holder=holder_of(caller, body.reviewer))
    response.headers["ETag"] = f'"{written.number}"'
    return review_document(written)


@router.post(f"{_PLACE}/undo", status_code=201)
def undo(
    found: VerdictHere, body: UndoBody, expected: Expected, caller: Asking, wiring: Wired, response: Response
) -> Any:
    """Take the last decision back, by one more review: what was said before it holds again."""
    written = undo_review(wiring, found, reviewer_of(caller, body.reviewer), expected)
    response.headers["ETag"] = f'"{written.number}"'
    return review_document(written)


@router.get("/jobs/{job_id}/reviews")
def list_job_reviews(job_id: str, wanted: Annotated[Paged, Query()], wiring: Wired) -> PageDocument:
    """What holds for each reviewed image of a job, in the order of its manifest."""
    page = wiring.reviews.page(wiring.jobs.get(job_id).id, wanted.limit, wanted.cursor)
    return PageDocument.of([review_document(each) for each in page.items], page.next_cursor)


@router.get("/jobs/{job_id}/reviews/summary")
def get_summary(job_id: str, wiring: Wired) -> dict[str, Any]:
    """How many images of a job are flagged, how many reviewed, and what holds for them."""
    return job_reviews(wiring, job_id).document


@router.post("/verdicts/reviews")
def create_reviews(body: BulkBody, caller: Asking, wiring: Wired) -> dict[str, Any]:
    """Count the images that pass a filter, or say of each what it is. `bulk` in the answer takes all of it back."""
    wanted = body.filter.on(wiring)
    if body.expected_count is None:
        return {"count": count_matching(wiring, wanted)}
    said = body.model_dump(exclude={"filter", "expected_count"})
    request = ReviewRequest(**said | {"reviewer": reviewer_of(caller, body.reviewer)})
    return review_all(wiring, wanted, request, body.expected_count).document


@router.post("/verdicts/reviews/{bulk}/undo")
def undo_reviews(bulk: str, body: UndoBody, caller: Asking, wiring: Wired) -> dict[str, Any]:
    """Take all reviews of a bulk back, where they still hold, by one more review each."""
    return undo_bulk(wiring, bulk, reviewer_of(caller, body.reviewer)).document
