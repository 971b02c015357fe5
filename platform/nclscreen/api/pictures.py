"""Pictures of one verdict: the photograph, where the model saw tampering, both together, a small one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from nclscreen.api.verdicts import VerdictHere
from nclscreen.api.wired import Wired
from nclscreen.services.verdict_pictures import PictureKind, verdict_picture

router = APIRouter(tags=["pictures"])

#: the address names the verdict, which never changes
_KEEP = "private, max-age=31536000, immutable"


@router.get("/jobs/{job_id}/verdicts/{ordinal}/{kind}")
def get_picture(
    found: VerdictHere,
    kind: PictureKind,
    wiring: Wired,
    side: Annotated[int, Query(ge=64, le=4096, description="longest side in pixels, never enlarged")] = 1024,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """A JPEG, or a PNG for the heatmap alone (8-bit grey, 255 = probability 1)."""
    picture = verdict_picture(wiring, found, kind, side)
    headers = {
        "Cache-Control": _KEEP if picture.is_the_scored_one else "no-store",
        "ETag": f'"{picture.digest}"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'",
    }
    if if_none_match == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(picture.data, media_type=picture.media_type, headers=headers)
