"""Submitting a job by a form."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import ValidationError, create_model

from jobs.errors import InvalidSource, JobsError, StorageError
from ncl_model.errors import NclModelError
from nclscreen.api.lists import Strict
from nclscreen.api.request_models import fields_of
from nclscreen.api.wired import Wired
from nclscreen.pages.drawing import Drawn, see
from nclscreen.pages.routes import PageRoute
from nclscreen.services.errors import InvalidRequest
from nclscreen.services.submission import submit
from nclscreen.services.submission_request import SubmissionRequest

router = APIRouter(prefix="/jobs", route_class=PageRoute)

_SubmissionForm = create_model("_SubmissionForm", __base__=Strict, **fields_of(SubmissionRequest))
#: fields that take several words, with commas or spaces between
_LISTS = ("tags", "suffixes", "storage_classes")


async def _typed(request: Request) -> dict[str, str]:
    """The fields that were filled in, as they were typed."""
    async with request.form() as form:
        return {name: value for name, value in form.items() if isinstance(value, str) and value.strip()}


Typed = Annotated[dict[str, str], Depends(_typed)]


@router.get("/new")
def get_form(pages: Drawn) -> Response:
    """An empty form; its token keeps a second click from making a second job."""
    return pages.draw("submit", typed={"token": secrets.token_hex(12), "confirm": "true"}, errors={})


@router.post("")
def create_job(typed: Typed, wiring: Wired, pages: Drawn) -> Response:
    """Submit it; where something is wrong, the form once more, with what was typed."""
    try:
        submitted = submit(wiring, _request(typed))
    except ValidationError as error:
        wrong = {str(each["loc"][0]): str(each["msg"]) for each in error.errors()}
        return pages.draw("submit", 422, typed=typed, errors=wrong)
    except (JobsError, NclModelError) as error:
        return pages.draw("submit", 422, typed=typed, errors=_errors(error))
    if submitted.notes:
        return pages.draw("submitted", 201, submitted=submitted)
    return see(f"/jobs/{submitted.job_id}")


def _request(typed: Mapping[str, str]) -> SubmissionRequest:
    """Raises ValidationError."""
    document: dict[str, Any] = dict(typed)
    for name in _LISTS:
        if name in document:
            document[name] = tuple(re.split(r"\s*,\s*" if name == "tags" else r"[\s,]+", document[name].strip(" ,")))
    return SubmissionRequest(**_SubmissionForm.model_validate(document).model_dump())


def _errors(error: Exception) -> dict[str, str]:
    """What is wrong, by field; that of none has no name."""
    if isinstance(error, InvalidRequest):
        return {error.field: error.reason}
    return {"source" if isinstance(error, InvalidSource | StorageError) else "": str(error)}
