"""Drawings as reviewers send them."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def png_of(labels: NDArray[np.uint8], **options: object) -> bytes:
    """An 8-bit grey PNG of these values, (H, W)."""
    buffer = io.BytesIO()
    Image.fromarray(labels).save(buffer, "PNG", **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def box_mask(width: int, height: int) -> NDArray[np.uint8]:
    """(height, width): the upper left quarter is tampered."""
    labels = np.zeros((height, width), np.uint8)
    labels[: height // 2, : width // 2] = 255
    return labels


def two_strokes(width: int, height: int) -> NDArray[np.uint8]:
    """(height, width): a line is tampered, another one authentic, the rest unknown."""
    labels = np.zeros((height, width), np.uint8)
    labels[height // 4] = 255
    labels[height // 2] = 128
    return labels


def values_of(png: bytes) -> NDArray[np.uint8]:
    """What is in the file; it must be grey and of 8 bits."""
    with Image.open(io.BytesIO(png)) as image:
        assert image.mode == "L"
        return np.array(image)
