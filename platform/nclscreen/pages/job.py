"""One job: how far it is, what came of it, what another threshold would flag."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from jobs.domain import RetryImages
from jobs.domain.states import FINAL, JobState
from jobs.error_codes import NOTES
from jobs.exports import ExportFormat, MaskFormat
from jobs.verdicts.cases import CaseFilter
from nclscreen.api.jobs import ReplayRule
from nclscreen.api.wired import Wired
from nclscreen.evidence_text import untestable_in_words
from nclscreen.html_parts.histogram import histogram
from nclscreen.job_progress import job_progress
from nclscreen.pages.drawing import Drawn
from nclscreen.pages.job_actions import actions
from nclscreen.pages.routes import PageRoute
from nclscreen.pages.wanted import FromForm
from nclscreen.services.auditing import last_audit
from nclscreen.services.changing import changes
from nclscreen.services.estimates import estimate
from nclscreen.services.job_view import JobView, job_view
from nclscreen.services.replaying import ReplayRequest, ReplayView, replay, score_bins
from nclscreen.services.reviewing import job_reviews
from nclscreen.services.second_looking import second_looks
from nclscreen.wiring import Wiring

router = APIRouter(prefix="/jobs/{job_id}", route_class=PageRoute)


class RuleAsked(ReplayRule, FromForm):
    """From when on an image would be flagged."""


@router.get("")
def get_job(job_id: str, rule: Annotated[RuleAsked, Query()], wiring: Wired, pages: Drawn) -> Response:
    """The whole page; with a threshold in its address, what that would flag."""
    view = job_view(wiring, job_id)
    return pages.draw(
        "job",
        **_progress(wiring, view),
        view=view,
        histogram=histogram(score_bins(wiring, view.job), view.job.threshold),
        replayed=_replayed(wiring, job_id, rule),
        reviews=job_reviews(wiring, job_id),
        audit=last_audit(wiring, view.job),
        twice=second_looks(wiring, job_id),
        actions=actions(view.job),
        explanations=NOTES,
        untestable=untestable_in_words(view.untestable or {}),
        formats=[*ExportFormat, *MaskFormat],
        row_formats=list(ExportFormat),
        again=view.job.options.retry_images is not RetryImages.FAILED,
        changes=None,
        has_cases=bool(wiring.verdicts.cases(CaseFilter(job_id=view.job.id, by_name=True), 1).items),
    )


@router.get("/progress")
def get_progress(
    job_id: str, wiring: Wired, pages: Drawn, state: JobState | None = None, reflagging: bool = False
) -> Response:
    """How far it is, as a part of the page that asks for itself again while the job goes on.

    `state`, `reflagging`: what the page shows; when that has changed, more of the page is old.
    """
    view = job_view(wiring, job_id)
    response = pages.draw("parts/progress", **_progress(wiring, view))
    if state not in (None, view.job.state) or (reflagging and view.job.reflag_to is None):
        response.headers["HX-Refresh"] = "true"
    return response


@router.get("/changes")
def get_changes(job_id: str, wiring: Wired, pages: Drawn) -> Response:
    """What a job that took another's images again changed, as a part of the page: counting takes a while."""
    found = changes(wiring, job_id)
    return pages.draw("parts/changes", job=found.job, changes=found)


@router.get("/replay")
def get_replay(job_id: str, rule: Annotated[RuleAsked, Query()], wiring: Wired, pages: Drawn) -> Response:
    """What another rule would flag, as a part of the page."""
    replayed = _replayed(wiring, job_id, rule)
    return pages.draw("parts/replayed", replayed=replayed, over=replayed.job.state in FINAL)


def _replayed(wiring: Wiring, job_id: str, rule: RuleAsked) -> ReplayView:
    return replay(wiring, ReplayRequest(job_id=job_id, **rule.model_dump(exclude={"limit", "cursor"})))


def _progress(wiring: Wiring, view: JobView) -> dict[str, Any]:
    job = view.job
    asks = job.state is JobState.AWAITING_CONFIRMATION
    return {
        "job": job,
        "progress": job_progress(job, time.time()),
        "waits_for": view.waits_for,
        "slowed": view.slowed,
        "estimate": estimate(wiring, job) if asks else None,
        "over": job.state in FINAL,
        "reflagging_failed": None if job.reflag_to is None else wiring.jobs.reflagging_failed(job.id),
    }
