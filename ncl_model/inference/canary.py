"""What a version says of a few made pictures: written down when it is registered, asked again wherever it is hosted.

The fingerprint says which weights, preprocessing and arithmetic; that they compute what they should on a device, with a
build of torch, is seen by what comes out alone.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ncl_model.inference.predictor import Predictor

#: of the pictures; others are another batch, with which nothing is compared
BATCH = 1
#: how far scores of one fingerprint may lie apart, on whatever device
TOLERANCE = 1e-3
_COUNT, _SIDE = 8, 192


def canary_of(predictor: Predictor) -> dict[str, Any]:
    """What it says of the batch, as JSON types; see `disagreement`. About a second on a CPU."""
    found = predictor.localize([predictor.decode(data) for data in canary_pictures()])
    return {"batch": BATCH, "scores": [round(each.score, 6) for each in found]}


def disagreement(predictor: Predictor, expected: Mapping[str, Any] | None) -> str | None:
    """Where it says something else than what was written down; None where it does not, or nothing was."""
    if expected is None or expected.get("batch") != BATCH:
        return None
    said, wanted = canary_of(predictor)["scores"], expected["scores"]
    wrong = [number for number in range(_COUNT) if not abs(said[number] - wanted[number]) <= TOLERANCE]
    if not wrong:
        return None
    first = wrong[0]
    return (
        f"it scores {len(wrong)} of {_COUNT} canary pictures otherwise than when it was registered: "
        f"number {first + 1} {said[first]:.4f} instead of {wanted[first]:.4f}"
    )


@lru_cache(maxsize=1)
def canary_pictures() -> tuple[bytes, ...]:
    """PNG files of 192 x 192 pixels; every second has a patch of another grain and brightness. The same everywhere:
    made of whole numbers, without a library's random numbers and without a lossy format.
    """
    return tuple(_png(_picture(number)) for number in range(_COUNT))


def _picture(number: int) -> NDArray[np.uint8]:
    coarse = sum(
        _noise(10 * number + level, _SIDE >> level).repeat(1 << level, 0).repeat(1 << level, 1) for level in (3, 4, 5)
    )
    grain = _noise(10 * number + 9, _SIDE) >> (3 + number % 3)
    pixels = coarse // 3 + grain
    if number % 2:
        top, side = 24 + 8 * number, 48 + 8 * (number // 2)
        patch = _noise(10 * number + 8, side) >> 4
        pixels[top : top + side, 40 : 40 + side] = pixels[top : top + side, 100 : 100 + side] // 2 + 60 + patch
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _noise(seed: int, side: int) -> NDArray[np.int64]:
    """(side, side, 3) numbers from 0 to 255, by mixing bits of their places (splitmix64)."""
    places = np.arange(side * side * 3, dtype=np.uint64) + np.uint64((seed + 1) << 32)
    mixed = places * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return ((mixed >> np.uint64(40)) & np.uint64(255)).astype(np.int64).reshape(side, side, 3)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()
