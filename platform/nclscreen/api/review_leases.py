"""Review leases: images given to people, and who looks at what."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from jobs.domain import ReviewState
from jobs.domain.reviews import ReviewLease
from jobs.domain.times import instant
from nclscreen.api.admission import Asking
from nclscreen.api.lists import Strict
from nclscreen.api.reviews import WHO, holder_of, reviewer_of
from nclscreen.api.verdicts import VerdictsFilter, shown_document
from nclscreen.api.wired import Wired
from nclscreen.services.review_leasing import Reviewer, lease_next

router = APIRouter(prefix="/jobs/{job_id}/review-leases", tags=["reviews"])


class LeaseBody(Strict):
    """The images that somebody wants to review."""

    filter: VerdictsFilter = Field(
        default_factory=lambda: VerdictsFilter.model_validate({"review": ReviewState.UNREVIEWED}),
        description="which verdicts, as in their list, of this job; none: those that nobody has reviewed",
    )
    count: int = Field(1, ge=1, le=50, description="images at once")
    reviewer: str | None = Field(None, min_length=1, max_length=100, description=WHO)


class WhoseLeases(Strict):
    """Who gives images back."""

    reviewer: str | None = Field(None, min_length=1, max_length=100, description=WHO)


@router.get("")
def list_leases(job_id: str, wiring: Wired) -> dict[str, Any]:
    """Who looks at which image of a job, in the order of its manifest."""
    found = wiring.review_leases.of(wiring.jobs.get(job_id).id)
    return {"data": [_lease_document(lease) for lease in found.values()]}


@router.post("")
def lease_images(job_id: str, body: LeaseBody, caller: Asking, wiring: Wired) -> dict[str, Any]:
    """Be given the first images of a queue that nobody else has. Asked again, it keeps those that are undecided."""
    job = wiring.jobs.get(job_id)
    wanted = body.filter.model_copy(update={"job": job.id}).on(wiring)
    who = Reviewer(holder=holder_of(caller, body.reviewer), name=reviewer_of(caller, body.reviewer))
    given = lease_next(wiring, wanted, job.id, who, body.count)
    return {"data": [shown_document(found, body.filter) for found in given], "lease_s": wiring.review_leases.lease_s}


@router.delete("")
def release_images(
    job_id: str, whose: Annotated[WhoseLeases, Query()], caller: Asking, wiring: Wired
) -> dict[str, Any]:
    """Give all images of a job back that one has."""
    holder = holder_of(caller, whose.reviewer)
    return {"released": wiring.review_leases.release(wiring.jobs.get(job_id).id, holder)}


def _lease_document(lease: ReviewLease) -> dict[str, Any]:
    return {
        "ref": str(lease.ref),
        "ordinal": lease.ref.ordinal,
        "reviewer": lease.name,
        "expires_at": instant(lease.expires_at),
    }
