"""Manipulations made by program: splices, copy-moves and removals with object shapes drawn by people.

Deterministic: everything random comes from the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

from ncl_model.data.augmentation import crop_window, recompress
from ncl_model.data.removal import remove

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

#: shares of synthetic samples that copy within one photograph, and that fill a region; the others splice
_COPY_MOVE = 0.30
_REMOVAL = 0.15
#: pasted and filled area, as shares of the crop
_AREA = (0.01, 0.35)
_REMOVED_AREA = (0.01, 0.15)


def synthesize(
    photos: Sequence[Pixels], shapes: Sequence[tuple[int, Pixels]], crop: int, rng: np.random.Generator
) -> tuple[Pixels, Mask]:
    """One manipulated crop and its mask: (crop, crop, 3) uint8 and (crop, crop) bool.

    ``shapes`` pairs a photo's index with its region map (H, W), one number per region. A splice cuts a
    region out of its own photograph, so that edges are object edges; a copy-move moves one within the
    target; a removal fills one from around it. The crop's origin is a multiple of 8, so the JPEG grid of
    the target survives.
    """
    target = photos[int(rng.integers(len(photos)))]
    owner, regions = shapes[int(rng.integers(len(shapes)))]
    canvas = crop_window(target, np.zeros(target.shape[:2], np.bool_), crop, rng)[0]
    shape = _pick_region(regions, rng)
    kind = rng.random()
    if kind < _REMOVAL:
        return _erase(canvas, shape, rng)
    if kind < _REMOVAL + _COPY_MOVE:
        patch, alpha = _cut_from(canvas, shape, rng)
    else:
        if rng.random() < 0.5:
            canvas = recompress(canvas, int(rng.integers(60, 99)))
        patch, alpha = _cut(photos[owner], shape)
    patch, alpha = _transform(patch, alpha, crop, rng)
    return _paste(canvas, patch, alpha, rng)


def _erase(canvas: Pixels, shape: Mask, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """Fill the shape, laid at a random place of ``canvas``; soft edges half of the time."""
    side = canvas.shape[0]
    _, alpha = _cut(np.zeros((*shape.shape, 3), np.uint8), shape)
    area = max(1, int((np.asarray(alpha) > 127).sum()))
    low, high = (np.sqrt(share * side * side / area) for share in _REMOVED_AREA)
    scale = min(float(np.clip(rng.uniform(0.3, 1.0), low, high)), side / 2 / max(alpha.size))
    alpha = alpha.resize([max(4, int(v * scale)) for v in alpha.size], Image.Resampling.NEAREST)
    layer = Image.new("L", (side, side))
    layer.paste(alpha, (int(rng.integers(side - alpha.width + 1)), int(rng.integers(side - alpha.height + 1))))
    mask: Mask = np.asarray(layer) > 127
    filled = remove(canvas, mask, rng)
    if rng.random() < 0.5:
        layer = layer.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 1.5))))
        filled = np.array(Image.composite(Image.fromarray(filled), Image.fromarray(canvas), layer))
    return filled, mask


def _pick_region(regions: Pixels, rng: np.random.Generator) -> Mask:
    """A region of a sensible size; two joined if the first is small."""
    numbers, counts = np.unique(regions, return_counts=True)
    fits = numbers[(counts > 0.01 * regions.size) & (counts < 0.4 * regions.size)]
    chosen = rng.choice(fits if len(fits) else numbers)
    mask: Mask = regions == chosen
    if mask.mean() < 0.03 and len(fits) > 1:
        mask |= regions == rng.choice(fits)
    return mask


def _cut(photo: Pixels, shape: Mask) -> tuple[Image.Image, Image.Image]:
    """The shape's bounding box from a photo of the same size, with the shape as alpha."""
    rows, columns = np.flatnonzero(shape.any(1)), np.flatnonzero(shape.any(0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Image.fromarray(photo[box]), Image.fromarray(shape[box].astype(np.uint8) * 255)


def _cut_from(canvas: Pixels, shape: Mask, rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """The shape laid at a random place of ``canvas``, cut out there."""
    _, alpha = _cut(np.zeros((*shape.shape, 3), np.uint8), shape)
    side = canvas.shape[0]
    alpha.thumbnail((side * 2 // 3, side * 2 // 3), Image.Resampling.NEAREST)
    left = int(rng.integers(side - alpha.width + 1))
    top = int(rng.integers(side - alpha.height + 1))
    return Image.fromarray(canvas[top : top + alpha.height, left : left + alpha.width]), alpha


def _transform(
    patch: Image.Image, alpha: Image.Image, crop: int, rng: np.random.Generator
) -> tuple[Image.Image, Image.Image]:
    """Scale into the allowed area; sometimes mirror, rotate, recolour, soften or recompress the patch."""
    area = max(1, int((np.asarray(alpha) > 127).sum()))
    low, high = (np.sqrt(share * crop * crop / area) for share in _AREA)
    scale = float(np.clip(1.0 if rng.random() < 0.4 else rng.uniform(0.5, 1.5), low, high))
    scale = min(scale, crop / patch.width, crop / patch.height)
    if scale != 1.0:
        size = (max(4, int(patch.width * scale)), max(4, int(patch.height * scale)))
        patch = patch.resize(size, Image.Resampling.BICUBIC)
        alpha = alpha.resize(size, Image.Resampling.BILINEAR)
    if rng.random() < 0.5:
        mirror = Image.Transpose.FLIP_LEFT_RIGHT
        patch, alpha = patch.transpose(mirror), alpha.transpose(mirror)
    if rng.random() < 0.3:
        angle = float(rng.uniform(-25, 25))
        patch, alpha = patch.rotate(angle, Image.Resampling.BICUBIC), alpha.rotate(angle)
    if rng.random() < 0.3:
        patch = ImageEnhance.Brightness(patch).enhance(float(rng.uniform(0.8, 1.25)))
    if rng.random() < 0.15:
        patch = patch.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.4, 1.2))))
    if rng.random() < 0.4:
        patch = Image.fromarray(recompress(np.asarray(patch), int(rng.integers(50, 96))))
    return patch, alpha


def _paste(canvas: Pixels, patch: Image.Image, alpha: Image.Image, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """Blend the patch in at a random place; hard edges half of the time."""
    side = canvas.shape[0]
    left = int(rng.integers(side - patch.width + 1))
    top = int(rng.integers(side - patch.height + 1))
    layer = Image.new("L", (side, side))
    layer.paste(alpha, (left, top))
    mask: Mask = np.asarray(layer) > 127
    if rng.random() < 0.5:
        layer = layer.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 2.0))))
    image = Image.fromarray(canvas)
    overlay = image.copy()
    overlay.paste(patch, (left, top))
    return np.array(Image.composite(overlay, image, layer)), mask
