"""Saving a photograph once more the way another file was saved: same quantisation tables, same chroma subsampling.

Sets of tampered photographs were saved by the editing program of those who made them, the authentic ones by a camera or
an archive. Whoever learns to tell the two programs apart ranks such a set perfectly and has learnt nothing about
tampering: in CASIA v1 no tampered file shares its tables with an authentic one but for a handful. So authentic
training photographs are saved again with the tables of tampered files [ours].
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class JpegSettings:
    """How a JPEG file was saved."""

    #: 64 steps each, in Pillow's order: luma, and chroma where there is one
    tables: tuple[tuple[int, ...], ...]
    #: Pillow's number: 0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0
    subsampling: int


def settings_of(data: bytes) -> JpegSettings | None:
    """How the file ``data`` was saved; None when it is no JPEG file, or one whose subsampling Pillow cannot write.

    Reads the header alone. Raises nothing: a file that cannot be read has no settings.
    """
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            if not isinstance(image, JpegImagePlugin.JpegImageFile) or image.mode not in {"RGB", "L"}:
                return None
            # a grey file has no chroma to subsample
            subsampling = JpegImagePlugin.get_sampling(image) if image.mode == "RGB" else 0
            tables = tuple(tuple(image.quantization[key]) for key in sorted(image.quantization))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    if subsampling < 0 or not tables or any(not 1 <= step <= 255 for table in tables for step in table):
        return None
    return JpegSettings(tables[:2], subsampling)


def resave(pixels: Pixels, settings: JpegSettings) -> Pixels:
    """(H, W, 3) uint8 through JPEG once, saved as ``settings`` say."""
    with Image.open(io.BytesIO(saved(pixels, settings))) as image:
        return np.array(image)


def saved(pixels: Pixels, settings: JpegSettings) -> bytes:
    """(H, W, 3) uint8 as a JPEG file, saved as ``settings`` say."""
    buffer = io.BytesIO()
    tables = [list(table) for table in settings.tables]
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.save(buffer, "JPEG", qtables=tables, subsampling=settings.subsampling)
    return buffer.getvalue()
