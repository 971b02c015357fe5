"""Audits: samples of jobs, and what they say."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from nclscreen.api.admission import Asking
from nclscreen.api.lists import Strict
from nclscreen.api.reviews import reviewer_of
from nclscreen.api.wired import Wired
from nclscreen.services.auditing import LARGEST_SEED, SIZES, AuditRequest, audit_view, draw_audit

router = APIRouter(prefix="/jobs/{job_id}/audit", tags=["reviews"])


class AuditBody(Strict):
    """A sample to be drawn."""

    size: int = Field(200, ge=SIZES[0], le=SIZES[1], description="images, half of them flagged where there are as many")
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="the same job, size and seed give the same sample")


class AuditWanted(Strict):
    """Which audit."""

    number: int | None = Field(None, ge=1, lt=2**63, description="counted from 1; none: the last one")


@router.post("", status_code=201)
def post_audit(job_id: str, body: AuditBody, caller: Asking, wiring: Wired) -> dict[str, Any]:
    """Draw a sample of a job that is over, by score. `GET /v1/verdicts?job=...&audit=...` has its images."""
    drawn_by = reviewer_of(caller, None)
    return draw_audit(wiring, AuditRequest(job_id=job_id, **body.model_dump(), drawn_by=drawn_by)).document


@router.get("")
def get_job_audit(job_id: str, wanted: Annotated[AuditWanted, Query()], wiring: Wired) -> dict[str, Any]:
    """How far people are with the sample, and what it says of the job by now."""
    return audit_view(wiring, job_id, wanted.number).document
