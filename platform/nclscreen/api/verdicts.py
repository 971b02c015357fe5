"""Verdicts: filtered, paged, one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import StreamingResponse
from pydantic import Field

from jobs.domain import ReviewState, VerdictRef
from jobs.domain.reviews import SecondLook
from jobs.domain.signals import SignalKind
from jobs.errors import ErrorCode
from jobs.exports import ExportFormat, MaskFormat
from jobs.verdicts import Change, FoundVerdict, VerdictFilter
from nclscreen.api.lists import Paged, PageDocument, Strict
from nclscreen.api.wired import Wired
from nclscreen.documents import verdict_document
from nclscreen.services.exporting import Export
from nclscreen.wiring import Wiring

router = APIRouter(tags=["verdicts"])

#: counted from 0 in the order of the frozen manifest
Ordinal = Annotated[int, Path(ge=0, lt=2**63)]


def _found(job_id: str, ordinal: Ordinal, wiring: Wired) -> FoundVerdict:
    """Raises JobNotFound, VerdictNotFound."""
    return wiring.verdicts.at(VerdictRef(job_id=wiring.jobs.get(job_id).id, ordinal=ordinal))


#: the verdict that an address names
VerdictHere = Annotated[FoundVerdict, Depends(_found)]


class VerdictsFilter(Strict):
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
    review: ReviewState | None = Field(None, description="the decision that holds, or unreviewed")
    case: str | None = Field(None, description="of this claim, paper or listing")
    signal: SignalKind | None = Field(None, description="whose file says this of itself")
    second_look: SecondLook | None = Field(None, description="where it stands between two people who decide on it")
    audit: int | None = Field(
        None, ge=1, lt=2**63, description="drawn for this audit of the job, in the random order of its sample"
    )

    against: str | None = Field(None, description="another job with the same images; with `change`")
    change: Change | None = Field(None, description="flagged: here and not there; cleared: there and not here")

    def on(self, wiring: Wiring) -> VerdictFilter:
        """The filter this means. Raises JobNotFound, InvalidFilter."""
        parts: dict[str, Any] = self.model_dump(
            include=set(VerdictsFilter.model_fields) - {"job", "container", "against"}
        )
        job_id = None if self.job is None else wiring.jobs.get(self.job).id
        against = None if self.against is None else wiring.jobs.get(self.against).id
        container = self.container.rstrip("/") if self.container else None
        return VerdictFilter(job_id=job_id, container=container, against=against, **parts)


class VerdictsWanted(VerdictsFilter, Paged):
    """A page of verdicts."""

    count: Literal["none", "exact"] = Field("none", description="exact: how many pass the filter; looks at all of them")


class VerdictsPage(PageDocument):
    """The same, as it is answered."""

    #: of all pages; null where it was not asked for
    count: int | None = None


class ExportWanted(VerdictsFilter):
    """A file of verdicts."""

    format: ExportFormat | MaskFormat = Field(description="the kind of file")
    cutoff: float = Field(
        0.5, ge=0.01, le=1, description="coco and masks: probability from which a pixel looks tampered"
    )


def shown_document(found: FoundVerdict, wanted: VerdictsFilter) -> dict[str, Any]:
    """A verdict of a list; whoever is to decide without knowing what was said is not told."""
    blind = wanted.second_look is SecondLook.WANTED
    return verdict_document(replace(found, review=None) if blind else found)


@router.get("/verdicts")
def list_verdicts(wanted: Annotated[VerdictsWanted, Query()], wiring: Wired) -> VerdictsPage:
    """Verdicts, also of jobs that run."""
    asked = wanted.on(wiring)
    page = wiring.verdicts.page(asked, wanted.limit, wanted.cursor)
    return VerdictsPage(
        data=[shown_document(found, wanted) for found in page.items],
        has_more=page.next_cursor is not None,
        next=page.next_cursor,
        count=wiring.verdicts.count(asked) if wanted.count == "exact" else None,
    )


@router.get("/verdicts/export")
def export_verdicts(wanted: Annotated[ExportWanted, Query()], wiring: Wired) -> StreamingResponse:
    """The same as one file, as it is read: CSV, JSON Lines or Parquet; COCO or a TAR of PNG masks say where.

    An answer that breaks off is no whole file.
    """
    ending = wanted.format.ending
    return StreamingResponse(
        iter(Export(wiring, wanted.on(wiring), wanted.format, wanted.cutoff)),
        media_type=wanted.format.media_type,
        headers={
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="verdicts.{ending}"',
            "X-Content-Type-Options": "nosniff",
        },
    )


@router.get("/jobs/{job_id}/verdicts/{ordinal}")
def get_verdict(found: VerdictHere) -> dict[str, Any]:
    """One verdict, by its place in the job's manifest."""
    return verdict_document(found)
