"""How many of a job's reviewed images get a second look: said on the job's page."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Response
from pydantic import Field

from nclscreen.api.lists import Strict
from nclscreen.api.wired import Wired
from nclscreen.pages.drawing import see
from nclscreen.pages.routes import PageRoute
from nclscreen.services.second_looking import set_second_looks

router = APIRouter(prefix="/jobs/{job_id}/second-looks", route_class=PageRoute)


class ShareForm(Strict):
    """The share in percent."""

    percent: float = Field(ge=0, le=100)


@router.post("")
def set_share(job_id: str, form: Annotated[ShareForm, Form()], wiring: Wired) -> Response:
    """Keep it, and show the job."""
    view = set_second_looks(wiring, job_id, form.percent / 100)
    return see(f"/jobs/{view.job_id}#second-looks")
