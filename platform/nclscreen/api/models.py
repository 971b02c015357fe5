"""Model versions: which there are, what serves, promoted and rolled back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from jobs.domain.access import DEFAULT_PROJECT, Caller
from jobs.domain.registry import Alias, RegisteredVersion
from nclscreen.api.admission import Asking
from nclscreen.api.lists import Strict
from nclscreen.api.refusals import NotAllowed
from nclscreen.api.wired import Wired
from nclscreen.services.models import move_document, promote, roll_back, served_at, version_document
from nclscreen.wiring import Wiring

router = APIRouter(tags=["models"])


class PromotionBody(Strict):
    """Why, and whether it is only tried."""

    reason: str | None = Field(None, min_length=1, max_length=500)
    dry_run: bool = Field(False, description="check everything, and change nothing")


class RollbackBody(Strict):
    """Why."""

    reason: str | None = Field(None, min_length=1, max_length=500)


def operating(caller: Asking) -> Caller:
    """Raises NotAllowed for a key of another project than the default one: a model serves them all."""
    if caller.project not in (None, DEFAULT_PROJECT):
        raise NotAllowed("models serve all projects: it takes a key of the project default to promote one")
    return caller


Operating = Annotated[Caller, Depends(operating)]


def _shown(version: RegisteredVersion, wiring: Wiring) -> dict[str, Any]:
    """Where the weights lie is nothing for other projects."""
    document = version_document(version)
    if wiring.project is not None and wiring.project.name != DEFAULT_PROJECT:
        del document["weights_uri"]
    return document


@router.get("/models")
def list_models(wiring: Wired) -> dict[str, Any]:
    """The registered versions, the newest first, and the one that new jobs are pinned to."""
    versions = [_shown(each, wiring) for each in wiring.registry.all()]
    return {"champion": wiring.current_model.fingerprint, "data": versions}


@router.get("/models/champion/moves")
def list_moves(
    wiring: Wired, at: Annotated[str | None, Query(description="only the move that held at this time")] = None
) -> dict[str, Any]:
    """What was champion when: every move, the first one first."""
    if at is not None:
        held = served_at(wiring, at)
        return {"data": [] if held is None else [move_document(held)]}
    return {"data": [move_document(move) for move in wiring.registry.history(Alias.CHAMPION)]}


@router.get("/models/{version}")
def get_model(version: str, wiring: Wired) -> dict[str, Any]:
    """One version, by fingerprint, its beginning, or alias."""
    return _shown(wiring.registry.find(version), wiring)


@router.post("/models/{version}/promote")
def promote_model(version: str, body: PromotionBody, caller: Operating, wiring: Wired) -> dict[str, Any]:
    """Have new jobs pinned to this version from now on; jobs that are there stay with theirs."""
    return promote(wiring, version, actor=caller.name, reason=body.reason, dry_run=body.dry_run).document


@router.post("/models/champion/rollback")
def roll_back_model(body: RollbackBody, caller: Operating, wiring: Wired) -> dict[str, Any]:
    """Have new jobs pinned to the champion before this one."""
    return move_document(roll_back(wiring, actor=caller.name, reason=body.reason))
