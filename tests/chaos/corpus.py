"""A few hundred tiny images of several kinds, broken ones among them. The same bytes at every call."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

IMAGES = 200
#: every so many-th image is broken, in one of the ways below
BROKEN_EVERY = 12


def pictures(count: int = IMAGES) -> Iterator[tuple[str, bytes]]:
    """(key, file) of each image."""
    for number in range(count):
        file_format, suffix = (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"))[number % 3]
        data = _picture(number, file_format)
        if number % BROKEN_EVERY == 0:
            data = (b"", b"no photograph\n", data[: len(data) // 2])[number // BROKEN_EVERY % 3]
        yield f"photos/{number % 7}/ü {number:04d} +%.{suffix}", data


def _picture(seed: int, file_format: str) -> bytes:
    random = np.random.default_rng(seed)
    width, height = (64, 64) if seed % 4 else (96, 48)
    coarse = Image.fromarray(random.integers(0, 256, (4, 5, 3), dtype=np.uint8)).resize((width, height))
    pixels = np.asarray(coarse) + random.normal(0, 8, (height, width, 3))
    buffer = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(buffer, format=file_format)
    return buffer.getvalue()
