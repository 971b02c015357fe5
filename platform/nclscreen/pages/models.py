"""Model versions, runs of retraining, schedules: what serves, where it comes from, what is due."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Form, Response
from pydantic import Field

from jobs.domain.registry import Alias
from jobs.schedules.due import next_due
from nclscreen.api.lists import Strict
from nclscreen.api.models import Operating
from nclscreen.api.wired import Wired
from nclscreen.pages.drawing import Drawn, see
from nclscreen.pages.routes import PageRoute
from nclscreen.services.models import promote, roll_back

router = APIRouter(route_class=PageRoute)

_RUNS = 20


class WhyForm(Strict):
    """Why, for those who look later."""

    reason: str | None = Field(None, max_length=500)

    @property
    def said(self) -> str | None:
        """Nothing for an empty field."""
        return (self.reason or "").strip() or None


@router.get("/models")
def get_models(caller: Operating, wiring: Wired, pages: Drawn) -> Response:
    """All of it on one page."""
    store, now = wiring.schedules, time.time()
    due = [
        (
            each,
            None if each.paused else next_due(each.cron, each.zone, now, 1)[0],
            next(iter(store.ticks(each.id, 1)), None),
        )
        for each in store.all()
    ]
    return pages.draw(
        "models",
        versions=wiring.registry.all(),
        champion=wiring.current_model.ref,
        moves=list(reversed(wiring.registry.history(Alias.CHAMPION))),
        runs=wiring.runs.latest(_RUNS),
        schedules=due,
    )


@router.get("/runs/{run_id}")
def get_run(run_id: str, caller: Operating, wiring: Wired, pages: Drawn) -> Response:
    """One run, and the figures by which it was judged."""
    return pages.draw("run", run=wiring.runs.get(run_id))


@router.post("/models/{version}/promote")
def promote_version(version: str, form: Annotated[WhyForm, Form()], caller: Operating, wiring: Wired) -> Response:
    """Have new jobs pinned to it."""
    promote(wiring, version, actor=caller.name, reason=form.said)
    return see("/models")


@router.post("/models/champion/rollback")
def roll_back_champion(form: Annotated[WhyForm, Form()], caller: Operating, wiring: Wired) -> Response:
    """Have new jobs pinned to the one before."""
    roll_back(wiring, actor=caller.name, reason=form.said)
    return see("/models")


@router.post("/runs/{run_id}/cancel")
def cancel_run(run_id: str, caller: Operating, wiring: Wired) -> Response:
    """Have it end."""
    return see(f"/runs/{wiring.runs.cancel(run_id).id}")


@router.post("/schedules/{name}/{verb}")
def steer_schedule(name: str, verb: str, caller: Operating, wiring: Wired) -> Response:
    """Pause it, go on with it, or do it now, too."""
    store = wiring.schedules
    if verb == "run":
        store.run_now(name)
    else:
        store.pause(name, paused=verb == "pause")
    return see("/models")
