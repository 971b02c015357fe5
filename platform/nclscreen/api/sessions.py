"""Sessions: a browser shows a key once, and a cookie from then on."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from jobs.access.session_store import SESSION_S
from nclscreen.api.admission import COOKIE, Admission, Asking
from nclscreen.api.refusals import NotAllowed

router = APIRouter(tags=["keys"])


@router.post("/session", status_code=204)
def open_session(request: Request, caller: Asking, response: Response) -> None:
    """Open a session with the key of this request. The cookie is for this host alone, and no script can read it."""
    if caller.key_id is None:
        raise NotAllowed("a session is opened with a key")
    admission: Admission = request.app.state.admission
    remember(response, admission.sessions.open(caller))


@router.delete("/session", status_code=204)
def close_session(request: Request, response: Response) -> None:
    """End the session of this browser."""
    admission: Admission = request.app.state.admission
    admission.sessions.close(request.cookies.get(COOKIE, ""))
    forget(response)


def remember(response: Response, word: str) -> None:
    """Have the browser show this word from now on."""
    response.set_cookie(COOKIE, word, max_age=int(SESSION_S), path="/", secure=True, httponly=True, samesite="lax")


def forget(response: Response) -> None:
    """Have the browser show none any more."""
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
