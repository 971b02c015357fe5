"""Keys of a project, who one is, and what was done."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from jobs.domain.access import Scope
from nclscreen.api.admission import Asking, needs
from nclscreen.api.lists import Paged, PageDocument, Strict
from nclscreen.api.wired import Wired
from nclscreen.services.access import audit_document, create_key, key_document, list_keys, revoke_key

router = APIRouter(tags=["keys"])

#: also for looking: names of keys and of what others did are not for everybody
_ADMIN = [Depends(needs(Scope.ADMIN, looking=Scope.ADMIN))]


class NewKey(Strict):
    """A key to be made."""

    name: str = Field(min_length=1, max_length=100, description="of the person or program that gets it")
    scopes: list[Scope] = Field(min_length=1, description="what it is good for; admin is everything")
    lifetime: str | None = Field(None, description="30m, 12h, 90d, 2w; none: until it is revoked")
    project: str | None = Field(None, description="none: that of the key that asks")


@router.get("/me")
def get_me(caller: Asking) -> dict[str, Any]:
    """Who asks, and what he may."""
    return {"name": caller.name, "project": caller.project, "scopes": sorted(scope.value for scope in caller.scopes)}


@router.get("/keys", dependencies=_ADMIN)
def get_keys(wiring: Wired) -> dict[str, Any]:
    """The keys of the project, the newest first, those that were revoked among them."""
    return {"data": [key_document(key) for key in list_keys(wiring)]}


@router.post("/keys", status_code=201)
def post_key(body: NewKey, wiring: Wired, response: Response) -> dict[str, Any]:
    """A new key. Its text stands in this answer, and nowhere else ever again."""
    key, text = create_key(wiring, **body.model_dump())
    response.headers["Cache-Control"] = "no-store"
    return key_document(key) | {"key": text.text}


@router.delete("/keys/{key_id}")
def delete_key(key_id: str, wiring: Wired) -> dict[str, Any]:
    """Revoke a key: nobody gets in with it any more, nor with sessions that it opened."""
    return key_document(revoke_key(wiring, key_id))


@router.get("/audit", dependencies=_ADMIN)
def get_audit(wanted: Annotated[Paged, Query()], wiring: Wired) -> PageDocument:
    """What was done by whom, the newest first."""
    project = None if wiring.project is None else wiring.project.name
    page = wiring.audit_log.page(project, wanted.limit, wanted.cursor)
    return PageDocument.of([audit_document(each) for each in page.items], page.next_cursor)
