"""Real editing operations with known masks: a region of another photograph pasted in, or one's own moved."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from nclscreen.demo.photographs import is_grey
from nclscreen.demo.regions import MAX_AREA, MIN_AREA, Mask, random_region

#: an edit that hardly changes a pixel (black moved onto black) is none; mean difference in grey levels
_LEAST_CHANGE = 14.0
#: a moved region may cover this much of where it came from
_MOST_OVERLAP = 0.25
_ATTEMPTS = 400

Pixels = NDArray[np.float64]


class EditImpossible(RuntimeError):
    """No region of this photograph gives a visible edit of the wanted size."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Edit:
    """A tampered photograph and which of its pixels were changed."""

    photo: Image.Image
    #: (H, W) bool
    mask: Mask


def splice(host: Image.Image, donor: Image.Image, rng: random.Random) -> Edit:
    """Paste a region of `donor` into `host`: colours drawn towards the host's, edge softened.

    Raises EditImpossible.
    """
    for _ in range(_ATTEMPTS):
        material = _covering(donor, host.size, rng)
        if is_grey(host):
            material = material.convert("L").convert("RGB")
        region = random_region(material, rng)
        material, region = _moved(material, region, rng, angle=rng.uniform(-12, 12), scale=rng.uniform(0.9, 1.1))
        if not MIN_AREA <= region.mean() <= MAX_AREA:
            continue
        adjusted = _like(np.asarray(material, dtype=np.float64), np.asarray(host, dtype=np.float64), region)
        edit = _pasted(host, adjusted, region, rng)
        if edit is not None:
            return edit
    raise EditImpossible


def copy_move(host: Image.Image, rng: random.Random) -> Edit:
    """Paste a turned and scaled region of the photograph elsewhere into it. Raises EditImpossible."""
    for _ in range(_ATTEMPTS):
        origin = random_region(host, rng)
        moved, region = _moved(host, origin, rng, angle=rng.uniform(-30, 30), scale=rng.uniform(0.8, 1.3))
        if not MIN_AREA <= region.mean() <= MAX_AREA:
            continue
        if (region & origin).sum() > _MOST_OVERLAP * region.sum():
            continue
        edit = _pasted(host, np.asarray(moved, dtype=np.float64), region, rng)
        if edit is not None:
            return edit
    raise EditImpossible


def _pasted(host: Image.Image, material: Pixels, region: Mask, rng: random.Random) -> Edit | None:
    """The material in the region, mixed over a soft edge; None when that changes too little to see."""
    before = np.asarray(host, dtype=np.float64)
    edge = Image.fromarray(np.where(region, 255, 0).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(rng.uniform(0.6, 1.8))
    )
    share = np.asarray(edge, dtype=np.float64)[..., None] / 255
    after = np.rint(before + share * (material - before)).clip(0, 255)
    mask: Mask = share[..., 0] >= 0.5
    if not mask.any() or np.abs(after - before)[mask].mean() < _LEAST_CHANGE:
        return None
    return Edit(photo=Image.fromarray(after.astype(np.uint8)), mask=mask)


def _covering(photo: Image.Image, size: tuple[int, int], rng: random.Random) -> Image.Image:
    """A cut-out of the photograph, scaled to fill the size."""
    scale = max(size[0] / photo.width, size[1] / photo.height) * rng.uniform(1.0, 1.25)
    width, height = math.ceil(photo.width * scale), math.ceil(photo.height * scale)
    left, top = rng.randint(0, width - size[0]), rng.randint(0, height - size[1])
    box = (left, top, left + size[0], top + size[1])
    return photo.resize((width, height), Image.Resampling.LANCZOS).crop(box)


def _moved(
    photo: Image.Image, region: Mask, rng: random.Random, *, angle: float, scale: float
) -> tuple[Image.Image, Mask]:
    """Photograph and region turned (degrees) and scaled around the region's centre, which goes to a random place."""
    rows, columns = np.nonzero(region)
    x, y = float(columns.mean()), float(rows.mean())
    to_x, to_y = photo.width * rng.uniform(0.2, 0.8), photo.height * rng.uniform(0.2, 0.8)
    cosine, sine = math.cos(math.radians(angle)) / scale, math.sin(math.radians(angle)) / scale
    # Pillow wants the way back: from a pixel of the result to its place in the original
    back = (cosine, sine, x - cosine * to_x - sine * to_y, -sine, cosine, y + sine * to_x - cosine * to_y)
    moved = photo.transform(photo.size, Image.Transform.AFFINE, back, Image.Resampling.BICUBIC)
    mask = Image.fromarray(region).transform(photo.size, Image.Transform.AFFINE, back, Image.Resampling.NEAREST)
    return moved, np.asarray(mask, dtype=np.bool_)


def _like(material: Pixels, host: Pixels, region: Mask) -> Pixels:
    """Mean and contrast of the material drawn half-way to those of what it covers."""
    ours, theirs = material[region], host[region]
    mean = ours.mean(axis=0)
    wanted = (mean + theirs.mean(axis=0)) / 2
    gain = np.sqrt(np.clip(theirs.std(axis=0) / np.maximum(ours.std(axis=0), 1.0), 0.5, 2.0))
    return np.asarray((material - mean) * gain + wanted)
