"""Second looks: whose images get one, and how far people agree."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from nclscreen.api.lists import Strict
from nclscreen.api.wired import Wired
from nclscreen.services.second_looking import second_looks, set_second_looks

router = APIRouter(prefix="/jobs/{job_id}/second-looks", tags=["reviews"])


class ShareBody(Strict):
    """How many images."""

    share: float = Field(ge=0, le=1, description="of the reviewed images of the job; 0: none")


@router.get("")
def get_second_looks(job_id: str, wiring: Wired) -> dict[str, Any]:
    """How many images wait for a second decision, where two agree or not, and Cohen's kappa with its counts."""
    return second_looks(wiring, job_id).document


@router.put("")
def put_second_looks(job_id: str, body: ShareBody, wiring: Wired) -> dict[str, Any]:
    """Have this share looked at twice, also of images that are reviewed already. What was looked at twice stays so."""
    return set_second_looks(wiring, job_id, body.share).document
