"""Pixels as the bytes of a file. Deterministic: the same pixels give the same bytes."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def png_file(pixels: Pixels) -> bytes:
    """(H, W, 3) uint8 RGB as a PNG file: lossless, and quick to write rather than small."""
    return _saved(pixels, "PNG", compress_level=1)


def bitmap(pixels: Pixels) -> bytes:
    """(H, W, 3) uint8 RGB as an uncompressed file: a decoder gives the same pixels back."""
    return _saved(pixels, "BMP")


def jpeg_file(pixels: Pixels, quality: int) -> bytes:
    """(H, W, 3) uint8 RGB as a JPEG file of this quality (1 to 100, as libjpeg counts), with subsampling 4:2:0."""
    return _saved(pixels, "JPEG", quality=quality, subsampling="4:2:0")


def _saved(pixels: Pixels, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format=kind, **options)
    return buffer.getvalue()
