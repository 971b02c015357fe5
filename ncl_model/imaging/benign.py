"""Benign operations: what people do to photographs without tampering with anything in them.

A detector that answers to them condemns authentic photographs and loses sight of tampered ones. Each operation ends as
the bytes of a file, JPEG or lossless (PNG), as somebody else would receive it; masks follow the geometry. Pure and
deterministic. The list and its parameters are ours; it is what ``nclscreen evaluate --benign`` measures, and what a
calibration has to hold for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ncl_model.imaging.encoding import jpeg_file, png_file

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
_Picture = TypeVar("_Picture", Pixels, Mask)

#: how tables call a photograph before any operation: the file's own bytes
AS_IT_IS = "as it is"


@dataclass(frozen=True, kw_only=True)
class BenignOperation:
    """One operation: cut, scale, brighten, save, in this order, of which most do nothing."""

    #: short and unique in the list
    name: str
    #: what is done, in words, for tables and documents
    how: str
    #: columns at the left and rows at the top that are cut off; a side not longer than that is left alone
    cut: tuple[int, int] = (0, 0)
    #: both sides times this, bicubic with antialiasing
    scale: float = 1.0
    #: grey values times this, cut at 255
    gain: float = 1.0
    #: of the JPEG file it ends as (4:2:0); None: a PNG file
    quality: int | None = None

    def __call__(self, pixels: Pixels, mask: Mask) -> tuple[bytes, Mask]:
        """(H, W, 3) uint8 RGB and (H, W) bool to the bytes of a file and the mask of its size."""
        return self.file(pixels), self.mask(mask)

    def file(self, pixels: Pixels) -> bytes:
        """(H, W, 3) uint8 RGB to the bytes of the file that the operation ends as."""
        changed = self.pixels(pixels)
        return png_file(changed) if self.quality is None else jpeg_file(changed, self.quality)

    def pixels(self, pixels: Pixels) -> Pixels:
        """(H, W, 3) uint8 RGB to (h, w, 3), before it is saved."""
        return brightened(scaled(cropped(pixels, self.cut), self.scale), self.gain)

    def mask(self, mask: Mask) -> Mask:
        """(H, W) bool to (h, w), as the pixels: a pixel is tampered when at least about half of it was."""
        return scaled_mask(cropped(mask, self.cut), self.scale)


_OFF_GRID = (3, 5)

#: the eight, in the order in which tables show them
BENIGN: tuple[BenignOperation, ...] = (
    BenignOperation(
        name="crop", how="3 columns and 5 rows cut off at the top left, so off the 8x8 grid; PNG", cut=_OFF_GRID
    ),
    BenignOperation(name="crop, JPEG 85", how="the same cut; JPEG 85", cut=_OFF_GRID, quality=85),
    BenignOperation(name="resize 0.78", how="both sides times 0.78; PNG", scale=0.78),
    BenignOperation(name="resize 0.78, JPEG 85", how="both sides times 0.78; JPEG 85", scale=0.78, quality=85),
    BenignOperation(name="brighten, JPEG 90", how="grey values times 1.2; JPEG 90", gain=1.2, quality=90),
    BenignOperation(name="messenger", how="both sides times 0.78; JPEG 60", scale=0.78, quality=60),
    BenignOperation(name="PNG export", how="the pixels as they are; PNG"),
    BenignOperation(name="screenshot", how="both sides times 1.25; PNG", scale=1.25),
)


def cropped(picture: _Picture, cut: tuple[int, int]) -> _Picture:
    """(H, W, ...) without the first columns and rows, ``cut`` = (columns, rows)."""
    columns, rows = cut
    top = rows if picture.shape[0] > rows else 0
    left = columns if picture.shape[1] > columns else 0
    return picture[top:, left:]


def scaled(pixels: Pixels, scale: float) -> Pixels:
    """(H, W, 3) uint8 to (round(H * scale), round(W * scale), 3), at least one pixel; bicubic with antialiasing."""
    if scale == 1.0:
        return pixels
    size = _scaled_size(pixels.shape, scale)
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, Image.Resampling.BICUBIC))


def scaled_mask(mask: Mask, scale: float) -> Mask:
    """(H, W) bool to the size ``scaled`` gives: bilinear with antialiasing, cut at one half."""
    if scale == 1.0:
        return mask
    grey = Image.fromarray(np.ascontiguousarray(mask).astype(np.uint8) * np.uint8(255))
    result: Mask = np.asarray(grey.resize(_scaled_size(mask.shape, scale), Image.Resampling.BILINEAR)) > 127
    return result


def brightened(pixels: Pixels, gain: float) -> Pixels:
    """(H, W, 3) uint8 times ``gain``, rounded, cut at 255."""
    if gain == 1.0:
        return pixels
    # 256 values are all there are
    curve = np.rint(np.arange(256) * gain).clip(0, 255).astype(np.uint8)
    result: Pixels = curve[pixels]
    return result


def _scaled_size(shape: tuple[int, ...], scale: float) -> tuple[int, int]:
    """(width, height), as Pillow wants it."""
    return max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))
