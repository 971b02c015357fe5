"""A browser shows a key once, and a cookie from then on."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from jobs.access.errors import KeyRefused
from nclscreen.api.admission import COOKIE, Admission
from nclscreen.api.lists import Strict
from nclscreen.api.sessions import forget, remember
from nclscreen.pages.drawing import Pages, own_address, see
from nclscreen.pages.routes import PageRoute

router = APIRouter(route_class=PageRoute)


class KeyForm(Strict):
    """A key, and where its owner wanted to go."""

    key: str
    next: str | None = None


@router.get("/sign-in")
def get_sign_in(request: Request, next: str | None = None) -> Response:
    """A form for the key."""
    return _form(request, next)


@router.post("/sign-in")
def sign_in(request: Request, form: Annotated[KeyForm, Form()]) -> Response:
    """Open a session, and go on."""
    admission: Admission = request.app.state.admission
    try:
        request.state.caller = caller = admission.wiring.keys.caller(form.key.strip())
    except KeyRefused as error:
        return _form(request, form.next, str(error))
    response = see(own_address(form.next, "/jobs"))
    remember(response, admission.sessions.open(caller))
    return response


@router.post("/sign-out")
def sign_out(request: Request) -> Response:
    """End the session of this browser."""
    admission: Admission = request.app.state.admission
    admission.sessions.close(request.cookies.get(COOKIE, ""))
    response = see("/sign-in")
    forget(response)
    return response


def _form(request: Request, following: str | None, refused: str | None = None) -> Response:
    status = 200 if refused is None else 401
    return Pages(request, None).draw("sign_in", status, following=own_address(following, "/jobs"), refused=refused)
