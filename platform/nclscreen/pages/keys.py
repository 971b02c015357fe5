"""Keys: who may come in, and for what. A new one is shown on the page that makes it, and never again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Response
from pydantic import Field

from jobs.domain.access import Scope
from nclscreen.api.admission import Asking
from nclscreen.api.lists import Strict
from nclscreen.api.refusals import NotAllowed
from nclscreen.api.wired import Wired
from nclscreen.pages.drawing import Drawn, Pages, see
from nclscreen.pages.routes import PageRoute
from nclscreen.services.access import create_key, list_keys, revoke_key
from nclscreen.wiring import Wiring

router = APIRouter(prefix="/keys", route_class=PageRoute)


class KeyForm(Strict):
    """A key to be made."""

    name: str = Field(min_length=1, max_length=100)
    scopes: list[Scope] = Field(default_factory=list)
    lifetime: str | None = None


@router.get("")
def get_keys(caller: Asking, wiring: Wired, pages: Drawn) -> Response:
    """The keys of the project, and a form for one more."""
    if not caller.may(Scope.ADMIN):
        raise NotAllowed("keys are for those whose key has the scope admin")
    return _drawn(wiring, pages)


@router.post("")
def make_key(form: Annotated[KeyForm, Form()], wiring: Wired, pages: Drawn) -> Response:
    """Make one, and show it."""
    key, text = create_key(wiring, name=form.name, scopes=form.scopes, lifetime=(form.lifetime or "").strip() or None)
    response = _drawn(wiring, pages, made=text.text, owner=key.name)
    response.headers["Cache-Control"] = "no-store"
    return response


@router.post("/{key_id}/revoke")
def end_key(key_id: str, wiring: Wired) -> Response:
    """Let nobody in with it any more."""
    revoke_key(wiring, key_id)
    return see("/keys")


def _drawn(wiring: Wiring, pages: Pages, made: str | None = None, owner: str | None = None) -> Response:
    return pages.draw("keys", keys=list_keys(wiring), scopes=list(Scope), made=made, owner=owner)
