"""Whether this process lives, and whether it can answer."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from nclscreen import __version__
from nclscreen.api.wired import Whole

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz() -> dict[str, Any]:
    """This process lives. Asks nobody."""
    return {"status": "ok", "version": __version__}


@router.get("/readyz")
def readyz(wiring: Whole) -> dict[str, Any]:
    """The database answers, and has the schema that is needed. 503 otherwise."""
    wiring.jobs.latest(1)
    return {"status": "ok"}
