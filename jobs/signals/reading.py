"""All signals of a file, as one small document."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from jobs.domain.signals import SignalKind
from jobs.signals.exif import ExifBlock, read_exif
from jobs.signals.metadata import find_metadata
from jobs.signals.thumbnails import differs, likeness
from jobs.signals.xmp import XmpPacket, read_xmp
from jobs.stored_text import storable
from ncl_model.imaging.decoding import DecodedImage

_LONGEST = 100
#: clocks of one camera agree better than this
_SAME_MOMENT = timedelta(minutes=2)
#: programs that change pictures; cameras and phones name their firmware in the same place
_EDITORS = re.compile(
    r"photoshop|lightroom|firefly|gimp|affinity|pixelmator|paint\.net|paintshop|corel|snapseed|facetune|picsart|meitu"
    r"|beautyplus|faceapp|remini|vsco|luminar|capture one|darktable|rawtherapee|acdsee|photoscape|photopea|canva"
    r"|fotor|pixlr|befunky|krita|inkscape|imagemagick|midjourney|stable diffusion|dall.?e|comfyui|generative",
    re.IGNORECASE,
)


def read_signals(data: bytes, image: DecodedImage) -> dict[str, Any] | None:
    """Signals by kind, plain JSON types; None where the file says nothing that people should know. Never raises.

    `image`: the same file, decoded.
    """
    found = find_metadata(data)
    exif, xmp = read_exif(found.exif), read_xmp(found.xmp)
    correlation = _likeness(exif, image)
    signals = {
        SignalKind.SOFTWARE: _software(exif, xmp),
        SignalKind.HISTORY: xmp.edits or None,
        SignalKind.DATES: _dates(exif),
        SignalKind.THUMBNAIL: round(correlation, 2) if correlation is not None and differs(correlation) else None,
        SignalKind.C2PA: found.c2pa or None,
    }
    return {kind.value: says for kind, says in signals.items() if says is not None} or None


def _software(exif: ExifBlock, xmp: XmpPacket) -> str | None:
    named = next((each for each in (xmp.tool, exif.software) if each and _EDITORS.search(each)), None)
    return storable(named, limit=_LONGEST)


def _dates(exif: ExifBlock) -> str | None:
    """What is odd about the moments in it."""
    taken = exif.taken or exif.digitised
    if taken is None or exif.changed is None:
        return None
    if exif.changed < taken - _SAME_MOMENT:
        return f"changed {taken - exif.changed} before it was taken"
    return f"changed {exif.changed - taken} after it was taken" if exif.changed > taken + _SAME_MOMENT else None


def _likeness(exif: ExifBlock, image: DecodedImage) -> float | None:
    if not exif.thumbnail:
        return None
    return likeness(exif.thumbnail, exif.orientation, image.pixels[: image.valid_height, : image.valid_width])
