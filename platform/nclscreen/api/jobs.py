"""Jobs: submitted, listed, looked at, told what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import Field, create_model

from jobs.domain import JobId, RetryImages
from jobs.domain.states import JobState
from jobs.errors import ErrorCode, NothingToRetry
from jobs.lifecycle.job_filters import JobFilter
from jobs.verdicts.cases import CaseFilter
from nclscreen.api.job_events import job_events
from nclscreen.api.lists import Paged, PageDocument, Strict
from nclscreen.api.request_models import fields_of
from nclscreen.api.wired import Wired
from nclscreen.documents import case_document, job_document
from nclscreen.services.changing import changes
from nclscreen.services.estimates import estimate
from nclscreen.services.job_view import job_view, jobs_waiting, models_waited_for
from nclscreen.services.reflagging import ReflagRequest, begin_reflagging
from nclscreen.services.replaying import ReplayRequest, replay
from nclscreen.services.rescreening import RescreenRequest, rescreen
from nclscreen.services.retrying import RetryRequest, retry
from nclscreen.services.submission import submit
from nclscreen.services.submission_request import LARGEST_PRIORITY, SubmissionRequest

router = APIRouter(prefix="/jobs", tags=["jobs"])

#: of SubmissionRequest, but its token, which is a header here
NewJobBody = create_model("NewJobBody", __base__=Strict, **fields_of(SubmissionRequest, without={"token"}))


def _known(job_id: str, wiring: Wired) -> JobId:
    """Raises JobNotFound, while the answer can still say so."""
    return wiring.jobs.get(job_id).id


KnownJob = Annotated[JobId, Depends(_known)]


class JobsWanted(Paged):
    """Which jobs."""

    tag: str | None = None
    state: JobState | None = None
    name: str | None = Field(None, description="the job's name contains this, any case")
    model: str | None = Field(None, description="the model's name, or the beginning of its fingerprint")
    created_after: float | None = Field(None, description="seconds since the epoch, inclusive")
    created_before: float | None = Field(None, description="seconds since the epoch, inclusive")


class Priority(Strict):
    """Where in the queue."""

    priority: int = Field(ge=-LARGEST_PRIORITY, le=LARGEST_PRIORITY)


class ReplayRule(Strict):
    """From when on an image would be flagged."""

    threshold: float | None = Field(None, ge=0, le=1, description="score; none: the job's")
    min_area: float = Field(0, ge=0, le=1, description="and of which this share looks tampered")
    cutoff: float = Field(0.5, description="probability from which a pixel looks tampered: 0.2, 0.25, ... 0.95")


class CasesWanted(Paged):
    """Which cases."""

    flagged: bool | None = Field(None, description="with a flagged image, or without")
    unreviewed: bool | None = Field(None, description="with a flagged image that nobody has reviewed, or without")
    sort: Literal["score", "name"] = "score"


class ThresholdBody(Strict):
    """From when on the job is to flag: one of both."""

    threshold: float | None = Field(None, ge=0, le=1)
    max_fpr: float | None = Field(None, gt=0, lt=1, description="the largest share of false alarms")


class RescreenBody(Strict):
    """Which images, and how they are to be judged."""

    images: RetryImages = RetryImages.ALL
    threshold: float | None = Field(None, ge=0, le=1, description="none: as the job asked, or as the model suggests")
    model: str | None = Field(None, description="a registered version instead of the one that new jobs get")
    sample: int | None = Field(None, ge=1, description="only so many of the images, drawn at random")
    rescore: bool = Field(False, description="score images anew whose verdict by the current model is known")
    name: str | None = None


class RetryBody(Strict):
    """Which images once more, and how they are to be judged."""

    codes: list[ErrorCode] = Field([], description="only images with these codes; none: all that failed")
    current_model: bool = Field(False, description="score with the model of this installation, not the job's")
    threshold: float | None = Field(None, ge=0, le=1)
    name: str | None = None


@router.get("")
def list_jobs(wanted: Annotated[JobsWanted, Query()], wiring: Wired) -> PageDocument:
    """Jobs, newest first."""
    parts = wanted.model_dump(exclude={"limit", "cursor"})
    page = wiring.jobs.page(JobFilter(**parts), wanted.limit, wanted.cursor)
    waiting = jobs_waiting(wiring, page.items, models_waited_for(wiring, page.items))
    documents = [job_document(job) | {"waits_for": waiting.get(job.id)} for job in page.items]
    return PageDocument.of(documents, page.next_cursor)


@router.post("", status_code=201)
def create_job(
    body: NewJobBody,  # type: ignore[valid-type]
    wiring: Wired,
    response: Response,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> dict[str, Any]:
    """Submit a job. With the same `Idempotency-Key` and the same body once more, it is the same job (200)."""
    asked: dict[str, Any] = body.model_dump()  # type: ignore[attr-defined]
    submitted = submit(wiring, SubmissionRequest(**asked, token=idempotency_key))
    response.headers["Location"] = f"/v1/jobs/{submitted.job_id}"
    if submitted.again:
        response.status_code = 200
    return job_document(wiring.jobs.get(submitted.job_id)) | {"notes": list(submitted.notes)}


@router.get("/{job_id}")
def get_job(job_id: str, wiring: Wired) -> dict[str, Any]:
    """One job, what went wrong in it, and what it waits for."""
    return job_view(wiring, job_id).document


@router.get("/{job_id}/estimate")
def get_estimate(job_id: str, wiring: Wired) -> dict[str, Any]:
    """How much there is to do, and how long that may take."""
    return estimate(wiring, wiring.jobs.get(job_id)).document


@router.get("/{job_id}/replay")
def get_replay(job_id: str, rule: Annotated[ReplayRule, Query()], wiring: Wired) -> dict[str, Any]:
    """How many of its images another rule would flag: counted, nothing is scored and nothing is changed."""
    return replay(wiring, ReplayRequest(job_id=job_id, **rule.model_dump())).document


@router.get("/{job_id}/changes")
def get_changes(
    job_id: str,
    wiring: Wired,
    against: Annotated[str | None, Query(description="another job; none: the one whose images it took again")] = None,
) -> dict[str, Any]:
    """How many images are flagged in one of two jobs and not in the other. `/v1/verdicts` lists them."""
    return changes(wiring, job_id, against).document


@router.get("/{job_id}/cases")
def list_cases(job_id: KnownJob, wanted: Annotated[CasesWanted, Query()], wiring: Wired) -> PageDocument:
    """The cases of a job, the most suspect first: a case's score is that of its worst image."""
    asked = CaseFilter(
        job_id=job_id, flagged=wanted.flagged, unreviewed=wanted.unreviewed, by_name=wanted.sort == "name"
    )
    page = wiring.verdicts.cases(asked, wanted.limit, wanted.cursor)
    return PageDocument.of([case_document(each) for each in page.items], page.next_cursor)


@router.get("/{job_id}/events", response_class=EventSourceResponse)
async def get_events(
    job_id: KnownJob, wiring: Wired, request: Request, last_event_id: Annotated[str | None, Header()] = None
) -> AsyncIterator[ServerSentEvent]:
    """The job as it changes, as server-sent events, until it is over. Each id stands for one state of the job."""
    async for event in job_events(wiring, job_id, request.is_disconnected, last_event_id):
        yield event


@router.post("/{job_id}/confirm")
def confirm_job(job_id: str, wiring: Wired) -> dict[str, Any]:
    """Let a prepared job go that waits for a person."""
    return job_document(wiring.jobs.confirm(job_id))


@router.post("/{job_id}/pause")
def pause_job(job_id: str, wiring: Wired) -> dict[str, Any]:
    """Give out no more of it; what is under way is finished."""
    return job_document(wiring.jobs.pause(job_id))


@router.post("/{job_id}/resume")
def resume_job(job_id: str, wiring: Wired) -> dict[str, Any]:
    """Go on with a paused job."""
    return job_document(wiring.jobs.resume(job_id))


@router.post("/{job_id}/cancel")
def cancel_job(job_id: str, wiring: Wired) -> dict[str, Any]:
    """Stop it; verdicts recorded so far are kept."""
    return job_document(wiring.jobs.cancel(job_id))


@router.post("/{job_id}/priority")
def prioritize_job(job_id: str, body: Priority, wiring: Wired) -> dict[str, Any]:
    """Change its place in the queue, also while it runs."""
    return job_document(wiring.jobs.prioritize(job_id, body.priority))


@router.post("/{job_id}/retry", status_code=201)
def retry_job(job_id: str, body: RetryBody, wiring: Wired, response: Response) -> dict[str, Any]:
    """Its failed images once more, as a job of their own."""
    found = retry(wiring, RetryRequest(job_id=job_id, **body.model_dump()))
    if found.job_id is None:
        raise NothingToRetry(found.earlier_id)
    response.headers["Location"] = f"/v1/jobs/{found.job_id}"
    return job_document(wiring.jobs.get(found.job_id))


@router.post("/{job_id}/rescreen", status_code=201)
def rescreen_job(job_id: str, body: RescreenBody, wiring: Wired, response: Response) -> dict[str, Any]:
    """Its images once more, by the model that new jobs are pinned to, as a job of their own."""
    found = rescreen(wiring, RescreenRequest(job_id=job_id, **body.model_dump()))
    if found.job_id is None:
        raise NothingToRetry(found.earlier_id)
    response.headers["Location"] = f"/v1/jobs/{found.job_id}"
    return job_document(wiring.jobs.get(found.job_id)) | {"notes": list(found.notes)}


@router.post("/{job_id}/threshold", status_code=202)
def reflag_job(job_id: str, body: ThresholdBody, wiring: Wired) -> dict[str, Any]:
    """Flag from another score on in a job that is over: a dispatcher rewrites the verdicts that cross it.

    Nothing is scored. `reflagging` says to which threshold it is being moved; until then the job has the old one.
    """
    return job_document(begin_reflagging(wiring, ReflagRequest(job_id=job_id, **body.model_dump())))


@router.delete("/{job_id}", status_code=202)
def delete_job(job_id: str, wiring: Wired) -> dict[str, Any]:
    """Have a job that is over removed, with its verdicts: a dispatcher does so."""
    return job_document(wiring.jobs.begin_deletion(job_id))
