"""Photographs with a region copied to another place, made on the spot from those of the demo."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from nclscreen.demo.photographs import load_photographs

Pixels = NDArray[np.uint8]


@lru_cache(maxsize=1)
def _photographs() -> dict[str, Image.Image]:
    return load_photographs()


def photograph(name: str, longest: int = 512) -> Image.Image:
    photo = _photographs()[name].copy()
    scale = longest / max(photo.size)
    return photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.LANCZOS)


@dataclass(frozen=True, kw_only=True, eq=False)
class CopiedPhoto:
    photo: Image.Image
    #: (H, W) bool: where it was taken from, and where it went
    source: NDArray[np.bool_]
    target: NDArray[np.bool_]

    @property
    def pixels(self) -> Pixels:
        return np.asarray(self.photo)

    @property
    def both(self) -> NDArray[np.bool_]:
        return self.source | self.target


def copied(
    photo: Image.Image,
    *,
    source: tuple[float, float] = (0.3, 0.35),
    target: tuple[float, float] = (0.7, 0.65),
    radius: float = 0.13,
    angle: float = 0.0,
    scale: float = 1.0,
    mirrored: bool = False,
    quality: int | None = None,
) -> CopiedPhoto:
    """A disc around ``source``, turned (degrees clockwise), scaled and perhaps mirrored, put around ``target``.

    Places as fractions of the sides; ``radius`` of the longer one. ``quality``: of the JPEG file it is saved as.
    """
    x, y = (round(part * side) for part, side in zip(source, photo.size, strict=True))
    to_x, to_y = (round(part * side) for part, side in zip(target, photo.size, strict=True))
    disc = Image.new("L", photo.size)
    reach = radius * max(photo.size)
    ImageDraw.Draw(disc).ellipse((x - reach, y - reach, x + reach, y + reach), fill=255)
    cosine, sine = math.cos(math.radians(angle)) / scale, math.sin(math.radians(angle)) / scale
    # the way back: turned to the left, and mirrored after that
    flip = -1 if mirrored else 1
    a, b, d, e = flip * cosine, flip * sine, -sine, cosine
    back = (a, b, x - a * to_x - b * to_y, d, e, y - d * to_x - e * to_y)
    moved = photo.transform(photo.size, Image.Transform.AFFINE, back, Image.Resampling.BICUBIC)
    region = disc.transform(photo.size, Image.Transform.AFFINE, back, Image.Resampling.BILINEAR)
    pasted = Image.composite(moved, photo, region.filter(ImageFilter.GaussianBlur(0.8)))
    return CopiedPhoto(
        photo=pasted if quality is None else saved(pasted, quality),
        source=np.asarray(disc) > 127,
        target=np.asarray(region) > 127,
    )


def saved(photo: Image.Image, quality: int) -> Image.Image:
    """The photograph out of a JPEG file."""
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as stored:
        return stored.convert("RGB")


def facade(rows: int = 7, columns: int = 9, cell: int = 56, seed: int = 3) -> Image.Image:
    """A front of equal windows, each with light, dirt and grain of its own, as a camera sees one."""
    random = np.random.default_rng(seed)
    window = np.full((cell, cell), 150.0)
    window[10:-8, 12:-12] = 60
    window[10:-8, cell // 2 - 2 : cell // 2 + 2] = 200
    window[cell // 2 - 2 : cell // 2 + 2, 12:-12] = 200
    window[-8:-4, 8:-8] = 220
    front = np.tile(window, (rows, columns))
    height, width = front.shape
    coarse = Image.fromarray(random.normal(0, 14, (height // 12, width // 12)).astype(np.float32))
    dirt = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    light = np.linspace(-25, 25, width)[None, :] + np.linspace(15, -15, height)[:, None]
    grey = np.clip(front + dirt + light + random.normal(0, 3, front.shape), 0, 255).astype(np.uint8)
    return saved(Image.fromarray(grey).convert("RGB"), 90)
