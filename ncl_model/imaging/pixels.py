"""Any Pillow mode to 8-bit RGB, without clipping deep images and without losing transparency."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ncl_model.errors import ImageUnreadable


def to_rgb(image: Image.Image) -> Image.Image:
    """The picture as mode RGB, transparency laid over white.

    16-bit grey is divided by 257. 32-bit integers and floats have no agreed white: see ``_deep_to_grey``.
    Raises ImageUnreadable("unsupported_format") for colour spaces Pillow cannot turn into RGB.
    """
    image.load()
    if image.mode.startswith("I;16"):
        return Image.fromarray(_grey16(np.asarray(image))).convert("RGB")
    if image.mode in {"I", "F"}:
        return Image.fromarray(_deep_to_grey(np.asarray(image))).convert("RGB")
    if image.mode == "RGB" and not image.has_transparency_data:
        return image.copy()
    try:
        if image.has_transparency_data:
            return _over_white(image)
        return image.convert("RGB")
    except ValueError as error:
        message = f"colour space {image.mode} has no conversion to RGB"
        raise ImageUnreadable("unsupported_format", message) from error


def _over_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, rgba).convert("RGB")


def _grey16(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """65535 / 257 = 255 exactly; Pillow's own conversion would clip everything above 255 to white."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _deep_to_grey(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """32-bit grey, signed or float: white is taken as 1, 255 or 65535, the first that holds the maximum.

    Integers never use the white of 1. Beyond 65535 the image's own maximum is white. Negative values and
    NaN are black.
    """
    integer = np.issubdtype(values.dtype, np.integer)
    numbers = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0).clip(min=0.0)
    peak = float(numbers.max(initial=0.0))
    whites = (255.0, 65535.0) if integer else (1.0, 255.0, 65535.0)
    white = next((white for white in whites if peak <= white), peak)
    return np.rint(numbers * (255.0 / white)).clip(0, 255).astype(np.uint8)
