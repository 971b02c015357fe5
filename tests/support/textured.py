"""Made-up photographs with detail at every scale, so that JPEG and resizing leave traces as in real ones."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def textured(seed: int, height: int, width: int) -> Pixels:
    """(height, width, 3) uint8: noise of six octaves, coarse ones strongest, and a little grain."""
    rng = np.random.default_rng(seed)
    total = rng.normal(128, 2, (height, width, 3)).astype(np.float32)
    for level in range(6):
        cells = (max(2, height >> (6 - level)), max(2, width >> (6 - level)), 3)
        octave = rng.normal(0, 40 / 1.6**level, cells).astype(np.float32)
        planes = [Image.fromarray(octave[..., c]).resize((width, height), Image.Resampling.BICUBIC) for c in range(3)]
        total += np.stack([np.asarray(plane) for plane in planes], axis=-1)
    return np.clip(np.rint(total), 0, 255).astype(np.uint8)


def jpeg_bytes(pixels: Pixels, quality: int) -> bytes:
    """As a JPEG file, chroma halved."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG", quality=quality, subsampling=2)
    return buffer.getvalue()


def through_jpeg(pixels: Pixels, quality: int) -> Pixels:
    """Saved once and read again."""
    with Image.open(io.BytesIO(jpeg_bytes(pixels, quality))) as image:
        return np.array(image)
