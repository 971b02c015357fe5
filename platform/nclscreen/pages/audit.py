"""A job's audit: a sample is drawn by a form of the job's page, which shows what it says."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Response

from nclscreen.api.admission import Asking
from nclscreen.api.audits import AuditBody
from nclscreen.api.reviews import reviewer_of
from nclscreen.api.wired import Wired
from nclscreen.pages.drawing import see
from nclscreen.pages.routes import PageRoute
from nclscreen.services.auditing import AuditRequest, draw_audit

router = APIRouter(prefix="/jobs/{job_id}/audit", route_class=PageRoute)


@router.post("")
def draw(job_id: str, form: Annotated[AuditBody, Form()], caller: Asking, wiring: Wired) -> Response:
    """Draw it, and show the job with it."""
    drawn_by = reviewer_of(caller, None)
    view = draw_audit(wiring, AuditRequest(job_id=job_id, **form.model_dump(), drawn_by=drawn_by))
    return see(f"/jobs/{view.job.id}#audit")
