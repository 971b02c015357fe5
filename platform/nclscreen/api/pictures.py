"""Pictures of one verdict: the photograph, where the model saw tampering, both together, a small one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from pydantic import Field

from nclscreen.api.lists import Strict
from nclscreen.api.verdicts import VerdictHere
from nclscreen.api.wired import Wired
from nclscreen.services.verdict_pictures import Picture, PictureKind, region_picture, verdict_picture

router = APIRouter(tags=["pictures"])

#: pixels of a region's side, at most
LARGEST_REGION = 2048


class Region(Strict):
    """Where, in pixels of the upright photograph; what lies outside is left out."""

    x: int = Field(ge=0, description="from the left")
    y: int = Field(ge=0, description="from the top")
    width: int = Field(512, ge=1, le=LARGEST_REGION)
    height: int = Field(512, ge=1, le=LARGEST_REGION)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """left, top, right, bottom; the last two are outside."""
        return (self.x, self.y, self.x + self.width, self.y + self.height)


#: the address names the verdict, which never changes
_KEEP = "private, max-age=31536000, immutable"


@router.get("/jobs/{job_id}/verdicts/{ordinal}/region")
def get_region(
    found: VerdictHere,
    region: Annotated[Region, Query()],
    wiring: Wired,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """A part of the photograph, pixel by pixel as it is in the upright file: a PNG."""
    return _sent(region_picture(wiring, found, region.box), if_none_match)


@router.get("/jobs/{job_id}/verdicts/{ordinal}/{kind}")
def get_picture(
    found: VerdictHere,
    kind: PictureKind,
    wiring: Wired,
    side: Annotated[int, Query(ge=64, le=4096, description="longest side in pixels, never enlarged")] = 1024,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """A JPEG, or a PNG for the heatmap alone (8-bit grey, 255 = probability 1)."""
    return _sent(verdict_picture(wiring, found, kind, side), if_none_match)


def _sent(picture: Picture, if_none_match: str | None) -> Response:
    headers = {
        "Cache-Control": _KEEP if picture.is_the_scored_one else "no-store",
        "ETag": f'"{picture.digest}"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'",
    }
    if if_none_match == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(picture.data, media_type=picture.media_type, headers=headers)
