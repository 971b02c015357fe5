"""Manipulations made by program on whole photographs: splices, copy-moves, removals, local retouching; and twins.

A twin is an authentic photograph to which the same operation was done everywhere: what an operation leaves behind does
not tell the classes apart, only that it is here and not there. Deterministic given the generator [ours].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

from ncl_model.data.removal import remove
from ncl_model.data.resaving import draw_settings, resave
from ncl_model.data.shapes import bounding_box

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Operation = Callable[[Image.Image], Image.Image]

#: share of the photograph that an edit covers
_AREA = (0.008, 0.3)
_REMOVED_AREA = (0.008, 0.12)
#: widths of soft edges, in pixels: half of the edits have none or a narrow one, the others up to a wide feather
_NARROW, _WIDE = (0.4, 1.5), (1.5, 6.0)


def splice(host: Pixels, donor: Pixels, shape: Mask, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """``shape`` (h, w) of ``donor`` (h, w, 3), transformed, at a random place of ``host``."""
    box = bounding_box(shape)
    patch, alpha = _transformed(_image(donor[box]), _alpha(shape[box]), host, rng)
    if rng.random() < 0.35:
        patch = _toned(patch, alpha, host)
    return _paste(host, patch, alpha, rng)


def copy_move(host: Pixels, shape: Mask, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """``shape``, of any size, cut out of ``host`` at a random place, at another; True where the copy lies."""
    height, width = host.shape[:2]
    alpha = _alpha(shape[bounding_box(shape)])
    alpha.thumbnail((width * 2 // 3, height * 2 // 3), Image.Resampling.NEAREST)
    left, top = int(rng.integers(width - alpha.width + 1)), int(rng.integers(height - alpha.height + 1))
    patch = _image(host[top : top + alpha.height, left : left + alpha.width])
    patch, alpha = _transformed(patch, alpha, host, rng)
    return _paste(host, patch, alpha, rng)


def erase(host: Pixels, shape: Mask, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """``shape`` at a random place of ``host``, filled from around it."""
    layer = _placed(shape, host, rng, _REMOVED_AREA)
    mask: Mask = np.asarray(layer) > 127
    return _composed(host, _image(remove(host, mask, rng)), layer, rng), mask


def retouch(host: Pixels, shape: Mask, operation: Operation, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """``operation`` done to ``shape`` at a random place of ``host``."""
    layer = _placed(shape, host, rng, _AREA)
    return _composed(host, operation(_image(host)), layer, rng), np.asarray(layer) > 127


def draw_operation(rng: np.random.Generator) -> Operation:
    """Something people do to a part of a photograph, strong enough to be seen or measured."""
    kind = int(rng.integers(7))
    amount = float(rng.random())
    if kind == 0:
        return lambda image: image.filter(ImageFilter.GaussianBlur(0.7 + 2 * amount))
    if kind == 1:
        return lambda image: image.filter(ImageFilter.UnsharpMask(1 + amount, 120 + int(150 * amount), 0))
    if kind == 2:
        return lambda image: image.filter(ImageFilter.MedianFilter(3 if amount < 0.6 else 5))
    if kind == 3:
        settings = draw_settings(rng, 40, 85)
        return lambda image: Image.fromarray(resave(np.asarray(image), settings))
    if kind == 4:
        noise = rng.standard_normal((64, 64, 3), np.float32) * (3 + 6 * amount)
        return lambda image: _with_noise(image, noise)
    if kind == 5:
        gain = 0.65 + 0.15 * amount if amount < 0.5 else 1.1 + 0.5 * (amount - 0.5)
        return lambda image: ImageEnhance.Brightness(ImageEnhance.Color(image).enhance(0.6 + 0.8 * amount)).enhance(
            gain
        )
    factor = 0.35 + 0.4 * amount
    return lambda image: _through_small(image, factor)


def everywhere(pixels: Pixels, operation: Operation) -> Pixels:
    """The twin of a retouched photograph: ``operation`` done to all of it."""
    return np.array(operation(_image(pixels)))


def _with_noise(image: Image.Image, noise: NDArray[np.float32]) -> Image.Image:
    rows, columns = -(-image.height // 64), -(-image.width // 64)
    tiled = np.tile(noise, (rows, columns, 1))[: image.height, : image.width]
    return Image.fromarray(np.clip(np.rint(np.asarray(image) + tiled), 0, 255).astype(np.uint8))


def _through_small(image: Image.Image, factor: float) -> Image.Image:
    small = image.resize((max(4, int(image.width * factor)), max(4, int(image.height * factor))), Image.Resampling.BOX)
    return small.resize(image.size, Image.Resampling.BICUBIC)


def _placed(shape: Mask, host: Pixels, rng: np.random.Generator, area: tuple[float, float]) -> Image.Image:
    """(H, W) alpha of the shape, scaled into the allowed area, at a random place of the host."""
    alpha = _scaled(_alpha(shape[bounding_box(shape)]), host, rng, area)
    layer = Image.new("L", (host.shape[1], host.shape[0]))
    place = [int(rng.integers(room + 1)) for room in (layer.width - alpha.width, layer.height - alpha.height)]
    layer.paste(alpha, (place[0], place[1]))
    return layer


def _scaled(alpha: Image.Image, host: Pixels, rng: np.random.Generator, area: tuple[float, float]) -> Image.Image:
    factor = _factor(alpha, host, rng, area)
    size = (max(4, int(alpha.width * factor)), max(4, int(alpha.height * factor)))
    return alpha.resize(size, Image.Resampling.NEAREST)


def _factor(alpha: Image.Image, host: Pixels, rng: np.random.Generator, area: tuple[float, float]) -> float:
    """A factor of the sides that keeps the area allowed and the shape inside the host; 1 where it can be, often."""
    pixels = max(1, int((np.asarray(alpha) > 127).sum()))
    low, high = (float(np.sqrt(share * host.shape[0] * host.shape[1] / pixels)) for share in area)
    factor = float(np.clip(1.0 if rng.random() < 0.4 else rng.uniform(0.5, 1.5), low, high))
    return float(min(factor, host.shape[1] / alpha.width, host.shape[0] / alpha.height))


def _transformed(
    patch: Image.Image, alpha: Image.Image, host: Pixels, rng: np.random.Generator
) -> tuple[Image.Image, Image.Image]:
    """Scaled into the allowed area; sometimes mirrored, turned, recoloured, softened or saved by itself."""
    factor = _factor(alpha, host, rng, _AREA)
    if factor != 1.0:
        size = (max(4, int(patch.width * factor)), max(4, int(patch.height * factor)))
        patch, alpha = patch.resize(size, Image.Resampling.BICUBIC), alpha.resize(size, Image.Resampling.BILINEAR)
    if rng.random() < 0.4:
        mirror = Image.Transpose.FLIP_LEFT_RIGHT
        patch, alpha = patch.transpose(mirror), alpha.transpose(mirror)
    if rng.random() < 0.25:
        angle = float(rng.uniform(-25, 25))
        patch, alpha = patch.rotate(angle, Image.Resampling.BICUBIC), alpha.rotate(angle)
    if rng.random() < 0.25:
        patch = ImageEnhance.Brightness(patch).enhance(float(rng.uniform(0.8, 1.25)))
    if rng.random() < 0.12:
        patch = patch.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.4, 1.2))))
    return patch, alpha


def _toned(patch: Image.Image, alpha: Image.Image, host: Pixels) -> Image.Image:
    """Mean and spread of each colour drawn halfway to the host's, as somebody who matches tones would."""
    values = np.asarray(patch).astype(np.float32)
    inside = values[np.asarray(alpha) > 127]
    if len(inside) < 16:
        return patch
    mean, spread = inside.mean(0), inside.std(0) + 1
    pixels = host.reshape(-1, 3)[:: max(1, host.size // 30000)].astype(np.float32)
    wanted_mean, wanted_spread = (mean + pixels.mean(0)) / 2, (spread + pixels.std(0) + 1) / 2
    toned = (values - mean) * (wanted_spread / spread) + wanted_mean
    return Image.fromarray(np.clip(np.rint(toned), 0, 255).astype(np.uint8))


def _paste(host: Pixels, patch: Image.Image, alpha: Image.Image, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """The patch blended in at a random place of the host."""
    height, width = host.shape[:2]
    place = (int(rng.integers(width - patch.width + 1)), int(rng.integers(height - patch.height + 1)))
    layer = Image.new("L", (width, height))
    layer.paste(alpha, place)
    overlay = _image(host)
    overlay.paste(patch, place)
    return _composed(host, overlay, layer, rng), np.asarray(layer) > 127


def _composed(host: Pixels, overlay: Image.Image, layer: Image.Image, rng: np.random.Generator) -> Pixels:
    """Overlay over host through the layer, its edge hard, soft or feathered."""
    kind = rng.random()
    if kind < 0.65:
        width = rng.uniform(*(_NARROW if kind < 0.4 else _WIDE))
        layer = layer.filter(ImageFilter.GaussianBlur(float(width)))
    return np.array(Image.composite(overlay, _image(host), layer))


def _image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels))


def _alpha(shape: Mask) -> Image.Image:
    return Image.fromarray(shape.astype(np.uint8) * 255)
