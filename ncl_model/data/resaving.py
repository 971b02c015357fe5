"""Saving a photograph once more the way another file was saved: same quantisation tables, same chroma subsampling.

Sets of tampered photographs were saved by the editing program of those who made them, the authentic ones by a camera or
an archive. Whoever learns to tell the two programs apart ranks such a set perfectly and has learnt nothing about
tampering: in CASIA v1 no tampered file shares its tables with an authentic one but for a handful. So authentic
training photographs are saved again with the tables of tampered files [ours].
"""

from __future__ import annotations

import io
from collections.abc import Sequence
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


def draw_settings(rng: np.random.Generator, low: int, high: int, *, like: Sequence[JpegSettings] = ()) -> JpegSettings:
    """How some program might save a file: libjpeg's tables at a quality from ``low`` to ``high``, often bent.

    A fifth of the time one of ``like``, if there are any. Editing programs and cameras have tables of their own, mostly
    finer or coarser at high frequencies than libjpeg's.
    """
    if like and rng.random() < _LIKE:
        return like[int(rng.integers(len(like)))]
    quality = int(rng.integers(low, high + 1))
    scale = (5000 / quality if quality < 50 else 200 - 2 * quality) / 100
    bend = float(rng.uniform(-0.6, 0.6)) if rng.random() < _BENT else 0.0
    factors = scale * (1 + bend * (_FREQUENCIES - 3.5) / 7)
    tables = [np.clip(np.rint(table * factors), 1, 255).astype(int) for table in (_LUMA_TABLE, _CHROMA_TABLE)]
    full = rng.random() < (0.8 if quality >= 90 else 0.25)
    luma, chroma = (tuple(int(step) for step in table.ravel()) for table in tables)
    return JpegSettings((luma, chroma), 0 if full else 2)


#: shares of drawn settings that are those of a known file, and that are bent
_LIKE, _BENT = 0.2, 0.5
#: mean of a coefficient's two frequencies, 0 to 7, rows first as Pillow takes tables
_FREQUENCIES = (np.arange(8)[:, None] + np.arange(8)[None, :]) / 2
#: ITU-T T.81, tables K.1 and K.2
_LUMA_TABLE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
_CHROMA_TABLE = np.full((8, 8), 99)
_CHROMA_TABLE[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
