"""What people drew where they say that an image was tampered with."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from pydantic import Field

from nclscreen.api.lists import Strict
from nclscreen.api.verdicts import VerdictHere
from nclscreen.api.wired import Wired
from nclscreen.services.drawings import coloured_png

router = APIRouter(tags=["reviews"])


class DrawingWanted(Strict):
    """Which drawing of an image, and how."""

    sha256: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="as a review of the image names it; none: the one that holds"
    )
    coloured: bool = Field(False, description="to be laid over the photograph: RGBA, unknown pixels are clear")


@router.get("/jobs/{job_id}/verdicts/{ordinal}/drawing")
def get_drawing(
    found: VerdictHere,
    wanted: Annotated[DrawingWanted, Query()],
    wiring: Wired,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The PNG, 8-bit grey: 255 tampered; in a mask 0 authentic, in scribbles 128 authentic and 0 unknown.

    Asked for by its hash it may be kept for good; the one that holds may be another one tomorrow.
    """
    drawing = wiring.drawings.of(found.ref, wanted.sha256)
    headers = {
        "Cache-Control": "private, no-cache" if wanted.sha256 is None else "private, max-age=31536000, immutable",
        "ETag": f'"{drawing.sha256}{"-coloured" if wanted.coloured else ""}"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'",
    }
    if if_none_match == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    png = coloured_png(drawing) if wanted.coloured else drawing.png
    return Response(png, media_type="image/png", headers=headers)
