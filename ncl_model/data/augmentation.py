"""Crops and distortions of training samples. Deterministic given the generator.

Crops start at multiples of 8: JPEG's grid then keeps one phase relative to the network's strides, and an
object pasted off the grid becomes visible. Mirroring and quarter turns of a crop keep that property.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_GRID = 8


def recompress(pixels: Pixels, quality: int) -> Pixels:
    """Through JPEG once at ``quality`` (1-100), chroma at full resolution from 90 on."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=0 if quality >= 90 else 2)
    buffer.seek(0)
    with Image.open(buffer) as image:
        return np.array(image)


def rescale(pixels: Pixels, mask: Mask, factor: float) -> tuple[Pixels, Mask]:
    """Both enlarged or reduced, pixels bilinear, mask by nearest neighbour; wipes out the JPEG grid."""
    size = max(8, round(mask.shape[1] * factor)), max(8, round(mask.shape[0] * factor))
    resized = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)
    return np.array(resized), np.array(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))


def crop_window(pixels: Pixels, mask: Mask, crop: int, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """A (crop, crop) window around a random tampered pixel, or anywhere when nothing is tampered.

    ``pixels`` (H, W, 3), ``mask`` (H, W); smaller images are padded, pixels by reflection.
    """
    pixels, mask = _at_least(pixels, mask, crop)
    tampered = np.flatnonzero(mask)
    if len(tampered):
        row, column = divmod(int(rng.choice(tampered)), mask.shape[1])
    else:
        row, column = int(rng.integers(mask.shape[0])), int(rng.integers(mask.shape[1]))
    top = _origin(row, mask.shape[0], crop, rng)
    left = _origin(column, mask.shape[1], crop, rng)
    window = np.s_[top : top + crop, left : left + crop]
    return pixels[window], mask[window]


def augment(pixels: Pixels, mask: Mask, rng: np.random.Generator, *, jpeg: float) -> tuple[Pixels, Mask]:
    """Mirror, quarter turns, brightness, and with probability ``jpeg`` a last compression at 65-99.

    The last compression must be as likely for authentic crops as for tampered ones, or it becomes the label.
    """
    if rng.random() < 0.5:
        pixels, mask = pixels[:, ::-1], mask[:, ::-1]
    turns = int(rng.integers(4)) if rng.random() < 0.3 else 0
    pixels, mask = np.rot90(pixels, turns), np.rot90(mask, turns)
    if rng.random() < 0.2:
        gain = rng.uniform(0.85, 1.15)
        pixels = np.clip(np.rint(pixels * gain), 0, 255).astype(np.uint8)
    if rng.random() < jpeg:
        pixels = recompress(np.ascontiguousarray(pixels), int(rng.integers(65, 100)))
    return np.ascontiguousarray(pixels), np.ascontiguousarray(mask)


def _origin(centre: int, side: int, crop: int, rng: np.random.Generator) -> int:
    """Start of a window holding ``centre``, on the JPEG grid, jittered by up to a third of the crop."""
    wanted = centre - crop // 2 + int(rng.integers(-crop // 3, crop // 3 + 1))
    return min(max(0, wanted), side - crop) // _GRID * _GRID


def _at_least(pixels: Pixels, mask: Mask, crop: int) -> tuple[Pixels, Mask]:
    below, right = max(0, crop - mask.shape[0]), max(0, crop - mask.shape[1])
    if not below and not right:
        return pixels, mask
    pixels = np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="symmetric")
    return pixels, np.pad(mask, ((0, below), (0, right)))
