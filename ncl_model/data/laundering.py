"""What happens to a photograph on its way to whoever screens it: crops, resizes, filters, saves.

One draw for authentic and tampered photographs alike: whatever leaves a trace here must say nothing about the label.
Deterministic given the generator [ours; the ranges follow TruFor's and FOCAL's training code].
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from ncl_model.data.resaving import JpegSettings, draw_settings, resave
from ncl_model.truth_maps import Marks

Pixels = NDArray[np.uint8]

#: probabilities of each step
CROPPED, SCALED, FILTERED, SAVED, SAVED_TWICE, LOSSLESS_END = 0.5, 0.5, 0.15, 0.8, 0.2, 0.1
#: a crop takes less than this off each side, in pixels, and leaves at least as much
_MOST_OFF = 16
#: factors of the sides, and the shortest side that reducing leaves, in pixels
_FACTORS = (0.4, 1.3)
_SHORTEST = 112
#: sides are never enlarged beyond this, in pixels
_LONGEST = 1400
_QUALITIES = (40, 95)
_KERNELS = (
    Image.Resampling.BILINEAR,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
    Image.Resampling.BOX,
    Image.Resampling.HAMMING,
)


def launder(
    pixels: Pixels, mask: Marks, rng: np.random.Generator, *, settings: Sequence[JpegSettings] = ()
) -> tuple[Pixels, Marks]:
    """(H, W, 3) uint8 and (H, W) mask or truth map after a random history; both of one, possibly other, size.

    ``settings``: how files of the training set were saved; a fifth of the saves is like one of them.
    """
    if rng.random() < CROPPED:
        pixels, mask = _cropped(pixels, mask, rng)
    if rng.random() < SCALED:
        pixels, mask = rescale(pixels, mask, float(rng.uniform(*_FACTORS)), _kernel(rng))
    pixels = _filtered(pixels, rng)
    if rng.random() < SAVED:
        pixels = resave(pixels, draw_settings(rng, *_QUALITIES, like=settings))
        if rng.random() < SAVED_TWICE:
            if rng.random() < CROPPED:
                pixels, mask = _cropped(pixels, mask, rng)
            pixels = resave(pixels, draw_settings(rng, *_QUALITIES, like=settings))
        if rng.random() < LOSSLESS_END:
            pixels, mask = _lossless(pixels, mask, rng)
    return pixels, mask


def rescale(
    pixels: Pixels, mask: Marks, factor: float, kernel: Image.Resampling = Image.Resampling.BILINEAR
) -> tuple[Pixels, Marks]:
    """Both enlarged or reduced, the mask by nearest neighbour; the factor is bounded so that sides stay sensible."""
    height, width = mask.shape
    factor = max(factor, min(1.0, _SHORTEST / min(height, width)))
    factor = min(factor, max(1.0, _LONGEST / max(height, width)))
    size = max(8, round(width * factor)), max(8, round(height * factor))
    resized = Image.fromarray(np.ascontiguousarray(pixels)).resize(size, kernel)
    return np.array(resized), np.array(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))


def _kernel(rng: np.random.Generator) -> Image.Resampling:
    return _KERNELS[int(rng.integers(len(_KERNELS)))]


def _cropped(pixels: Pixels, mask: Marks, rng: np.random.Generator) -> tuple[Pixels, Marks]:
    """Some pixels less at each side, but never fewer than 16: an earlier JPEG's blocks begin elsewhere afterwards."""
    top, bottom, left, right = (int(v) for v in rng.integers(0, _MOST_OFF, 4))
    top, left = (min(off, max(0, side - _MOST_OFF)) for off, side in zip((top, left), mask.shape, strict=True))
    height, width = (max(_MOST_OFF, side) for side in (mask.shape[0] - bottom - top, mask.shape[1] - right - left))
    window = np.s_[top : top + height, left : left + width]
    return pixels[window], mask[window]


def _filtered(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Blur, sharpening and noise, each seldom."""
    blurred, sharpened, noisy = rng.random(3) < FILTERED
    if blurred:
        blur = ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.3)))
        pixels = np.array(Image.fromarray(np.ascontiguousarray(pixels)).filter(blur))
    if sharpened:
        mask = ImageFilter.UnsharpMask(float(rng.uniform(0.5, 2)), int(rng.integers(30, 150)), 0)
        pixels = np.array(Image.fromarray(np.ascontiguousarray(pixels)).filter(mask))
    if noisy:
        noise = rng.standard_normal(pixels.shape, np.float32) * np.float32(rng.uniform(1, 5))
        pixels = np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)
    return pixels


def _lossless(pixels: Pixels, mask: Marks, rng: np.random.Generator) -> tuple[Pixels, Marks]:
    """A screenshot or an export: cropped or rescaled, and not saved as JPEG any more."""
    if rng.random() < 0.5:
        return _cropped(pixels, mask, rng)
    return rescale(pixels, mask, float(rng.uniform(0.7, 1.3)), _kernel(rng))
