"""Figures for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response

from jobs.domain.access import DEFAULT_PROJECT, Scope
from nclscreen.api.admission import Asking, needs
from nclscreen.api.refusals import NotAllowed
from nclscreen.metrics import CONTENT_TYPE, Metrics

router = APIRouter(tags=["health"])


def _of_the_installation(caller: Asking) -> None:
    """Raises NotAllowed for a key of another project than the default one: the figures are of all."""
    if caller.project not in (None, DEFAULT_PROJECT):
        raise NotAllowed("the figures are of all projects: it takes a key of the project default to see them")


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    dependencies=[Depends(needs(Scope.ADMIN)), Depends(_of_the_installation)],
)
def get_metrics(request: Request) -> Response:
    """How the whole of it goes, read from the database at this moment; see docs/metrics.md. Scope `read`."""
    metrics: Metrics = request.app.state.metrics
    return Response(metrics.text(), media_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})
