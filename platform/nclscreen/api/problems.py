"""Errors as problem details (RFC 9457): a stable type, a status, a sentence that says what to do."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from jobs.access.errors import KeyNotFound, KeyRefused, ProjectNotFound
from jobs.errors import (
    AccessDenied,
    AmbiguousImage,
    IllegalTransition,
    InvalidCursor,
    InvalidFilter,
    InvalidSource,
    JobNotFound,
    JobsError,
    ModelFailed,
    ModelUnavailable,
    NotAwaitingConfirmation,
    NothingToRetry,
    NothingToUndo,
    ObjectNotFound,
    RequestRefused,
    ReviewConflict,
    StorageError,
    StorageUnavailable,
    TokenReused,
    VerdictNotFound,
)
from jobs.registry.errors import AliasMoved, AmbiguousVersion, NothingToRollBack, VersionNotFound
from jobs.retraining.run_store import RunNotFound
from jobs.reviews.errors import AuditNotFound, DrawingNotFound, InvalidDrawing, NoSecondLook, NothingToAudit
from jobs.schedules.errors import ScheduleNotFound
from jobs.sql.errors import DATABASE_AWAY
from jobs.webhooks.urls import InvalidWebhook
from ncl_model.errors import ImageUnreadable, NclModelError
from nclscreen.api.refusals import NotAdmitted, NotAllowed, TooManyRequests
from nclscreen.services.bulk_reviewing import CountChanged
from nclscreen.services.comparison_picture import NoPicture
from nclscreen.services.errors import InvalidRequest
from nclscreen.services.live_scoring import ScoringBusy
from nclscreen.stored_heatmaps import HeatmapMissing

logger = logging.getLogger(__name__)

#: what the type of every problem begins with
TYPE = "urn:nclscreen:problem:"
_MEDIA_TYPE = "application/problem+json"
#: seconds after which something that is away may be there again
_RETRY_AFTER_S = 5
DATABASE_SILENT = "the database does not answer; ask again"

#: by class of error: status, type; the first that fits
_KNOWN: Sequence[tuple[type[Exception], int, str]] = (
    (NotAdmitted, 401, "key-needed"),
    (KeyRefused, 401, "key-refused"),
    (NotAllowed, 403, "scope-missing"),
    (TooManyRequests, 429, "too-many-requests"),
    (KeyNotFound, 404, "key-not-found"),
    (ProjectNotFound, 404, "project-not-found"),
    (VersionNotFound, 404, "model-not-found"),
    (ScheduleNotFound, 404, "schedule-not-found"),
    (RunNotFound, 404, "run-not-found"),
    (AmbiguousVersion, 409, "ambiguous-model"),
    (AliasMoved, 409, "alias-moved"),
    (NothingToRollBack, 409, "nothing-to-roll-back"),
    (JobNotFound, 404, "job-not-found"),
    (VerdictNotFound, 404, "verdict-not-found"),
    (AuditNotFound, 404, "audit-not-found"),
    (DrawingNotFound, 404, "no-drawing"),
    (HeatmapMissing, 404, "no-heatmap"),
    (NoPicture, 404, "no-picture"),
    (AmbiguousImage, 409, "ambiguous-image"),
    (ReviewConflict, 412, "reviewed-meanwhile"),
    (NoSecondLook, 409, "no-second-look"),
    (NothingToUndo, 409, "nothing-to-undo"),
    (CountChanged, 409, "count-changed"),
    (NothingToAudit, 409, "nothing-to-audit"),
    (NothingToRetry, 409, "nothing-to-retry"),
    (TokenReused, 409, "idempotency-key-reused"),
    (RequestRefused, 409, "wrong-state"),
    (NotAwaitingConfirmation, 409, "wrong-state"),
    (IllegalTransition, 409, "wrong-state"),
    (InvalidCursor, 422, "invalid-cursor"),
    (InvalidFilter, 422, "invalid-filter"),
    (InvalidSource, 422, "invalid-source"),
    (InvalidWebhook, 422, "invalid-request"),
    (InvalidRequest, 422, "invalid-request"),
    (InvalidDrawing, 422, "invalid-request"),
    (ImageUnreadable, 422, "image-unreadable"),
    (ScoringBusy, 429, "scoring-busy"),
    (ModelUnavailable, 503, "model-away"),
    (ModelFailed, 502, "model-failed"),
    (ObjectNotFound, 404, "object-not-found"),
    (AccessDenied, 502, "storage-refused"),
    (StorageUnavailable, 503, "storage-away"),
    (StorageError, 502, "storage-refused"),
    (JobsError, 422, "refused"),
    (NclModelError, 422, "refused"),
)


def problem_response(status: int, kind: str, detail: str, **members: Any) -> JSONResponse:
    """A problem document; `members` are further ones."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if status in (429, 503):
        headers["Retry-After"] = str(members.pop("retry_after_s", _RETRY_AFTER_S))
    document = {"type": TYPE + kind, "title": kind.replace("-", " "), "status": status, "detail": detail}
    return JSONResponse(document | members, status, headers, media_type=_MEDIA_TYPE)


def _picture(request: Request, error: Exception) -> Response | None:
    """For whoever asked for a picture: one that says so, since browsers show those whatever the status."""
    if not request.headers.get("accept", "").startswith("image/"):
        return None
    status, kind = known_problem(error)
    words = escape(kind.replace("-", " "))
    text = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 256 192"><rect width="256" height="192" fill="#35373c"/>'
        f'<text x="128" y="100" fill="#c8cacf" font-family="sans-serif" font-size="14" text-anchor="middle">{words}'
        "</text></svg>"
    )
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'"}
    return Response(text, status, headers, media_type="image/svg+xml")


def add_problem_handlers(app: FastAPI) -> None:
    """Have every error leave the application as a problem."""
    for kind in (JobsError, NclModelError):
        app.add_exception_handler(kind, _told)
    for away in DATABASE_AWAY:
        app.add_exception_handler(away, _away)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unforeseen)


def known_problem(error: Exception) -> tuple[int, str]:
    """Status and type of an error that is foreseen."""
    return next((status, kind) for known, status, kind in _KNOWN if isinstance(error, known))


async def _told(request: Request, error: Exception) -> Response:
    if (picture := _picture(request, error)) is not None:
        return picture
    status, kind = known_problem(error)
    members: dict[str, Any] = {"field": error.field} if isinstance(error, InvalidRequest) else {}
    if isinstance(error, TooManyRequests | ScoringBusy):
        members["retry_after_s"] = error.retry_after_s
    return problem_response(status, kind, str(error), **members)


async def _away(request: Request, error: Exception) -> JSONResponse:
    return problem_response(503, "database-away", DATABASE_SILENT)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what it is registered for
    found = wrong_fields(error)
    return problem_response(422, "invalid-request", in_one_sentence(found), errors=found)


def wrong_fields(error: RequestValidationError) -> list[dict[str, str]]:
    """What is wrong with a request: field, where it stood, reason."""
    return [
        {"field": ".".join(str(part) for part in each["loc"][1:]), "in": str(each["loc"][0]), "reason": each["msg"]}
        for each in error.errors()
    ]


def in_one_sentence(found: Sequence[Mapping[str, str]]) -> str:
    """The same for people."""
    return "; ".join(f"{each['field'] or each['in']}: {each['reason']}" for each in found)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    kinds = {404: "not-found", 405: "method-not-allowed"}
    answer = problem_response(error.status_code, kinds.get(error.status_code, "refused"), str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


async def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    logger.error("a request failed: %s %s", request.method, request.url.path, exc_info=error)
    return problem_response(500, "internal", "something went wrong here; the log of the server says what")
