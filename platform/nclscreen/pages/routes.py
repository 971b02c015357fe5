"""Routes of pages: what goes wrong is told as a page, and who is not known is asked for a key."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from jobs.access.errors import KeyRefused
from jobs.errors import JobsError
from jobs.sql.errors import DATABASE_AWAY
from ncl_model.errors import NclModelError
from nclscreen.api.problems import DATABASE_SILENT, in_one_sentence, known_problem, wrong_fields
from nclscreen.api.refusals import NotAdmitted
from nclscreen.pages.drawing import Pages, address, see

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PageRoute(APIRoute):
    """A route whose errors people read."""

    def get_route_handler(self) -> _Handler:
        answer = super().get_route_handler()

        async def told(request: Request) -> Response:
            try:
                return await answer(request)
            except (NotAdmitted, KeyRefused) as error:
                if request.method == "GET" and "hx-request" not in request.headers:
                    return see(address("/sign-in", next=_asked_for(request)))
                return _drawn(request, 401, "key needed", str(error))
            except (JobsError, NclModelError) as error:
                status, kind = known_problem(error)
                return _drawn(request, status, kind.replace("-", " "), str(error))
            except RequestValidationError as error:
                return _drawn(request, 422, "invalid request", in_one_sentence(wrong_fields(error)))
            except DATABASE_AWAY:
                return _drawn(request, 503, "database away", DATABASE_SILENT)

        return told


def _asked_for(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _drawn(request: Request, status: int, title: str, detail: str) -> Response:
    caller = getattr(request.state, "caller", None)
    return Pages(request, caller).draw("problem", status, title=title, detail=detail, status=status)
