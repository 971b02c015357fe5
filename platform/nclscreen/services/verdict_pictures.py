"""One verdict as pictures of a chosen size, ready to be sent."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.verdicts import FoundVerdict
from nclscreen.evidence_text import evidence_of
from nclscreen.pictures import draw_copies, overlay, upright_photo
from nclscreen.services.comparison_picture import NoPicture
from nclscreen.services.errors import InvalidRequest
from nclscreen.stored_heatmaps import HeatmapMissing, heatmap_reader
from nclscreen.wiring import Wiring

_QUALITY = 88
_THUMBNAIL = 256
#: pixels of the longest side that is decoded as it is
_NATIVE = 8192


class PictureKind(StrEnum):
    """What is shown. On an overlay, places that look copied have boxes, with lines between."""

    PHOTOGRAPH = "photograph"
    HEATMAP = "heatmap"
    OVERLAY = "overlay"
    THUMBNAIL = "thumbnail"


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """An encoded picture."""

    data: bytes
    media_type: str
    #: whether it shows the bytes that were scored, and not what the file has become since
    is_the_scored_one: bool

    @property
    def digest(self) -> str:
        """Of the encoded bytes, 32 hex digits."""
        return hashlib.sha256(self.data).hexdigest()[:32]


def verdict_picture(wiring: Wiring, found: FoundVerdict, kind: PictureKind, side: int) -> Picture:
    """`side`: the longest side in pixels, at least 64; a thumbnail's is 256 at most.

    Raises NoPicture for an image without a score, HeatmapMissing, StorageError, ImageUnreadable.
    """
    verdict = found.verdict
    if kind is PictureKind.HEATMAP:
        return _encoded(Image.fromarray(_heatmap(wiring, found)), "PNG", scored=True)
    data, scored = _bytes(wiring, found)
    side = min(side, _THUMBNAIL) if kind is PictureKind.THUMBNAIL else side
    photograph = upright_photo(data, side)
    if kind is PictureKind.OVERLAY:
        evidence = evidence_of(verdict.evidence)
        copies = () if evidence is None else evidence.copies
        photograph = draw_copies(overlay(photograph, _heatmap(wiring, found)), copies)
    return _encoded(photograph, "JPEG", scored=scored)


def region_picture(wiring: Wiring, found: FoundVerdict, box: tuple[int, int, int, int]) -> Picture:
    """A part of the photograph at its own pixels. `box`: left, top, right, bottom in pixels of the upright photograph.

    Raises InvalidRequest where it lies outside, NoPicture of a photograph that is too long, StorageError,
    ImageUnreadable.
    """
    data, scored = _bytes(wiring, found)
    photograph = upright_photo(data, _NATIVE, wiring.decoder)
    if max(found.verdict.width or 0, found.verdict.height or 0) > _NATIVE:
        raise NoPicture(f"{found.ref} is longer than {_NATIVE} pixels: it is shown reduced alone")
    left, top, right, bottom = box
    if left >= photograph.width or top >= photograph.height:
        raise InvalidRequest("x", f"the photograph has {photograph.width} x {photograph.height} pixels")
    part = photograph.crop((left, top, min(right, photograph.width), min(bottom, photograph.height)))
    return _encoded(part, "PNG", scored=scored)


def _bytes(wiring: Wiring, found: FoundVerdict) -> tuple[bytes, bool]:
    """The file's, and whether they are those that were scored."""
    verdict = found.verdict
    data = wiring.open_storage(verdict.container).read(verdict.key, version_id=verdict.version_id)
    return data, verdict.sha256 is not None and hashlib.sha256(data).hexdigest() == verdict.sha256


def _heatmap(wiring: Wiring, found: FoundVerdict) -> NDArray[np.uint8]:
    if found.verdict.score is None:
        raise NoPicture(f"{found.ref} has no score: {found.verdict.error_code} ({found.verdict.error_message})")
    if found.verdict.map_uri is None:
        raise HeatmapMissing(
            f"no heatmap of {found.ref} was kept; NCLSCREEN_NEAR_MISSES says of how many unflagged images they are, "
            "and NCLSCREEN_HEATMAPS=all keeps those of all"
        )
    return heatmap_reader(wiring.open_storage)(found.verdict)


def _encoded(image: Image.Image, form: str, *, scored: bool) -> Picture:
    buffer = io.BytesIO()
    image.save(buffer, form, **({"quality": _QUALITY} if form == "JPEG" else {}))
    return Picture(data=buffer.getvalue(), media_type=f"image/{form.lower()}", is_the_scored_one=scored)
