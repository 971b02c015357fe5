"""Verdicts: filtered, paged, one by one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import Field

from jobs.domain import VerdictRef
from jobs.errors import ErrorCode
from jobs.verdicts import VerdictFilter
from nclscreen.api.lists import Paged, PageDocument
from nclscreen.api.wired import Wired
from nclscreen.documents import verdict_document

router = APIRouter(tags=["verdicts"])

#: counted from 0 in the order of the frozen manifest
Ordinal = Annotated[int, Path(ge=0, lt=2**63)]


class VerdictsWanted(Paged):
    """Which verdicts. Flagged ones come highest score first; others are of one job, in its manifest's order."""

    job: str | None = Field(None, description="of this job")
    flagged: bool | None = None
    min_score: float | None = Field(None, ge=0, le=1)
    max_score: float | None = Field(None, ge=0, le=1)
    min_area: float | None = Field(None, ge=0, le=1, description="share of the image at probability 0.5 or more")
    max_area: float | None = Field(None, ge=0, le=1)
    prefix: str | None = Field(None, description="the key begins with this")
    container: str | None = Field(None, description="s3://bucket or file:///absolute/folder")
    model: str | None = Field(None, description="the model's name, or the beginning of its fingerprint")
    failed: bool | None = Field(None, description="an error code instead of a score")
    error_code: ErrorCode | None = None


@router.get("/verdicts")
def list_verdicts(wanted: Annotated[VerdictsWanted, Query()], wiring: Wired) -> PageDocument:
    """Verdicts, also of jobs that run."""
    parts: dict[str, Any] = wanted.model_dump(exclude={"limit", "cursor", "job", "container"})
    job_id = None if wanted.job is None else wiring.jobs.get(wanted.job).id
    container = wanted.container.rstrip("/") if wanted.container else None
    page = wiring.verdicts.page(VerdictFilter(job_id=job_id, container=container, **parts), wanted.limit, wanted.cursor)
    return PageDocument.of([verdict_document(found) for found in page.items], page.next_cursor)


@router.get("/jobs/{job_id}/verdicts/{ordinal}")
def get_verdict(job_id: str, ordinal: Ordinal, wiring: Wired) -> dict[str, Any]:
    """One verdict, by its place in the job's manifest."""
    return verdict_document(wiring.verdicts.at(VerdictRef(job_id=wiring.jobs.get(job_id).id, ordinal=ordinal)))
