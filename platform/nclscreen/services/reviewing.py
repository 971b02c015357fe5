"""What people say of verdicts: looked at, written, taken back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from jobs.domain import Decision, JobId, NewReview, Review
from jobs.domain.drawings import Drawing
from jobs.domain.reviews import SEVERITIES
from jobs.verdicts import FoundVerdict
from nclscreen.services import checks
from nclscreen.services.drawings import NewDrawing, checked_drawing
from nclscreen.services.errors import InvalidRequest
from nclscreen.wiring import Wiring

_LONGEST_NOTE = 2000
_LONGEST_NAME = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewRequest:
    """What somebody says of one image."""

    decision: Decision
    #: who says so, up to 100 characters
    reviewer: str
    #: up to 2,000 characters
    note: str | None = None
    #: from 1, hardly matters, to 5
    severity: int | None = None
    #: the number of the last review that was seen, 0 for none; None: whatever was said meanwhile
    expected: int | None = None
    #: a second look, by somebody who has not seen what was said before
    blind: bool = False
    #: where it was tampered with; with `confirmed` alone, and for one image
    drawing: NewDrawing | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class JobReviews:
    """How far the images of a job are reviewed."""

    job_id: JobId
    #: images by the decision that holds
    decisions: dict[str, int]
    #: images that are flagged
    flagged: int

    @property
    def document(self) -> dict[str, Any]:
        """As JSON types."""
        return {"job": self.job_id, "flagged": self.flagged, "reviewed": sum(self.decisions.values()), **self.decisions}


def review(wiring: Wiring, found: FoundVerdict, request: ReviewRequest, *, holder: str | None = None) -> Review:
    """Write a review; whoever holds the image as `holder` is done with it.

    Raises InvalidRequest, ReviewConflict, NoSecondLook.
    """
    new = replace(new_review(request), drawing=_drawing(found, request))
    written = wiring.reviews.add(found, new, expected=request.expected)
    if holder is not None:
        wiring.review_leases.release(found.job_id, holder, [found.verdict.ordinal])
    return written


def new_review(request: ReviewRequest) -> NewReview:
    """What is to be written. Raises InvalidRequest."""
    if request.severity is not None and request.severity not in SEVERITIES:
        raise InvalidRequest("severity", f"{request.severity} is not from {SEVERITIES[0]} to {SEVERITIES[-1]}")
    return NewReview(
        decision=request.decision,
        reviewer=reviewer_name(request.reviewer),
        note=checks.short_text("note", request.note, _LONGEST_NOTE),
        severity=request.severity,
        blind=request.blind,
    )


def _drawing(found: FoundVerdict, request: ReviewRequest) -> Drawing | None:
    if request.drawing is None:
        return None
    if request.decision is not Decision.CONFIRMED:
        raise InvalidRequest("drawing", "goes with confirmed alone: it says where an image was tampered with")
    return checked_drawing(found, request.drawing)


def undo_review(wiring: Wiring, found: FoundVerdict, reviewer: str, expected: int | None = None) -> Review:
    """Take the last decision back. Raises InvalidRequest, NothingToUndo, ReviewConflict."""
    return wiring.reviews.undo(found, reviewer_name(reviewer), expected=expected)


def job_reviews(wiring: Wiring, job_id: str) -> JobReviews:
    """Raises JobNotFound."""
    job = wiring.jobs.get(job_id)
    return JobReviews(job_id=job.id, decisions=wiring.reviews.counts(job.id), flagged=job.counts.flagged)


def reviewer_name(reviewer: str) -> str:
    """As it is kept. Raises InvalidRequest."""
    return checks.short_text("reviewer", reviewer, _LONGEST_NAME) or reviewer
