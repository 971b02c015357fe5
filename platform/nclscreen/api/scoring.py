"""One photograph scored while the caller waits."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool

from nclscreen.api.wired import Wired
from nclscreen.services.errors import InvalidRequest
from nclscreen.services.live_scoring import LiveScoring

router = APIRouter(tags=["scoring"])

#: bytes of a photograph that is sent; larger ones go through a job
LARGEST_PHOTOGRAPH = 64 << 20
_ANY_BYTES = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}


@router.post("/score", max_body_size=LARGEST_PHOTOGRAPH, openapi_extra={"requestBody": _ANY_BYTES | {"required": True}})
async def score(
    request: Request,
    wiring: Wired,
    threshold: Annotated[float | None, Query(ge=0, le=1, description="score from which it is flagged")] = None,
    max_fpr: Annotated[float | None, Query(gt=0, lt=1, description="or: at most this share of false alarms")] = None,
    heatmap: Annotated[bool, Query(description="with the heatmap, a PNG in base64")] = False,
) -> dict[str, Any]:
    """The file's bytes are the body, whatever its name. The same score, to the last digit, as in a job of this model.

    Nothing is kept. 429: as many as may be are being scored; 503: the model or its cluster is away.
    """
    data = await request.body()
    if not data:
        raise InvalidRequest("body", "there is no photograph in it; send the file's bytes")
    desk: LiveScoring = request.app.state.scoring

    def scored() -> dict[str, Any]:
        return desk.score(wiring, data, threshold=threshold, max_fpr=max_fpr).document(heatmap=heatmap)

    return await run_in_threadpool(scored)
