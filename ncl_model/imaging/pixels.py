"""Any Pillow mode to 8-bit RGB, without clipping deep images and without losing transparency."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ncl_model.errors import ImageUnreadable
from ncl_model.imaging.bands import row_bands

#: a part of an image, with all its columns, to mode RGB
Conversion = Callable[[Image.Image], Image.Image]


def to_rgb(image: Image.Image) -> Image.Image:
    """The picture as mode RGB, transparency laid over white.

    16-bit grey is divided by 257. 32-bit integers and floats have no agreed white: see ``_white_of``.
    Raises ImageUnreadable("unsupported_format") for colour spaces Pillow cannot turn into RGB.
    """
    converted = rgb_conversion(image)(image)
    return image.copy() if converted is image else converted


def rgb_conversion(image: Image.Image) -> Conversion:
    """How any part of this image becomes RGB: what ``to_rgb`` gives, in pieces. The image is decoded by it.

    A part that is RGB already is given back itself. The conversion raises as ``to_rgb`` does.
    """
    image.load()
    if image.mode.startswith("I;16"):
        return lambda part: Image.fromarray(_grey16(np.asarray(part))).convert("RGB")
    if image.mode in {"I", "F"}:
        white = _white_of(image)
        return lambda part: Image.fromarray(_deep_to_grey(np.asarray(part), white)).convert("RGB")
    if image.has_transparency_data:
        return lambda part: _converted(part, _over_white)
    if image.mode == "RGB":
        return lambda part: part
    return lambda part: _converted(part, lambda it: it.convert("RGB"))


def _converted(part: Image.Image, convert: Conversion) -> Image.Image:
    try:
        return convert(part)
    except ValueError as error:
        message = f"colour space {part.mode} has no conversion to RGB"
        raise ImageUnreadable("unsupported_format", message) from error


def _over_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, rgba).convert("RGB")


def _grey16(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """65535 / 257 = 255 exactly; Pillow's own conversion would clip everything above 255 to white."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _white_of(image: Image.Image) -> float:
    """What is white in 32-bit grey, signed or float: 1, 255 or 65535, the first that holds the maximum.

    Integers never use the white of 1. Beyond 65535 the image's own maximum is white.
    """
    peak = 0.0
    for top, bottom in row_bands(image.height, image.width):
        values = np.asarray(image.crop((0, top, image.width, bottom)))
        peak = max(peak, float(_numbers(values).max(initial=0.0)))
    whites = (255.0, 65535.0) if image.mode == "I" else (1.0, 255.0, 65535.0)
    return next((white for white in whites if peak <= white), peak)


def _numbers(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Negative values, infinite ones and NaN are black."""
    finite = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    numbers: NDArray[np.float64] = finite.clip(min=0.0)
    return numbers


def _deep_to_grey(values: NDArray[np.generic], white: float) -> NDArray[np.uint8]:
    return np.rint(_numbers(values) * (255.0 / white)).clip(0, 255).astype(np.uint8)
