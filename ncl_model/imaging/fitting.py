"""An opened image to RGB of the size that is wanted, in little more memory than its decoder takes by itself.

A large transparent image was five times in memory at once: decoded, with alpha, white, laid over it, as RGB. Here it
is taken band by band, each turned upright, converted and, where much smaller pixels are wanted, averaged at once as
Pillow's ``resize`` does at first. The pixels are the same to the last bit (``tests/unit/test_ncl_fitting.py``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ncl_model.imaging.bands import row_bands
from ncl_model.imaging.pixels import Conversion, rgb_conversion

Transpose = Image.Transpose
Box = tuple[int, int, int, int]

#: the first step of a resize averages whole pixels, and leaves this factor for the second one
REDUCING_GAP = 2.0
#: turns that swap sides
_SIDEWAYS = {Transpose.TRANSPOSE, Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90}
#: turns by which what was at the right, or at the bottom, of the stored image comes to the other end
_FROM_RIGHT = {Transpose.FLIP_LEFT_RIGHT, Transpose.ROTATE_180, Transpose.TRANSVERSE, Transpose.ROTATE_90}
_FROM_BOTTOM = {Transpose.ROTATE_180, Transpose.FLIP_TOP_BOTTOM, Transpose.ROTATE_270, Transpose.TRANSVERSE}


def fitted_rgb(image: Image.Image, turn: Transpose | None, size: tuple[int, int]) -> Image.Image:
    """Mode RGB, turned, of ``size`` (width, height) after the turn, transparency laid over white.

    Equal to ``to_rgb``, ``transpose`` and ``resize(size, BILINEAR, reducing_gap=2)`` one after the other. May give the
    image itself, where nothing is to be done. Raises as ``to_rgb`` does, and whatever the decoder raises.
    """
    convert = rgb_conversion(image)
    width, height = image.size[::-1] if turn in _SIDEWAYS else image.size
    across, down = (int(side / wanted / REDUCING_GAP) or 1 for side, wanted in zip((width, height), size, strict=True))
    if image.mode == "RGB" and turn is None and across == down == 1 and not image.has_transparency_data:
        reduced = image
    else:
        reduced = _reduced(image, turn, convert, (width, height), (across, down))
    if reduced.size == size and across == down == 1:
        return reduced
    box = (0, 0, width / across, height / down)
    return reduced.resize(size, Image.Resampling.BILINEAR, box=box)


def upright_luma(image: Image.Image, turn: Transpose | None) -> NDArray[np.uint8]:
    """(H, W) uint8 of the turned image at its own size, transparency laid over white. Raises as ``to_rgb`` does."""
    convert = rgb_conversion(image)
    width, height = image.size[::-1] if turn in _SIDEWAYS else image.size
    luma = np.empty((height, width), np.uint8)
    for top, bottom in row_bands(height, width):
        part = convert(image.crop(_stored(turn, (top, bottom), image.size)))
        luma[top:bottom] = np.asarray((part if turn is None else part.transpose(turn)).convert("L"))
    return luma


def _reduced(
    image: Image.Image, turn: Transpose | None, convert: Conversion, size: tuple[int, int], factor: tuple[int, int]
) -> Image.Image:
    """The turned image, ``size`` before and about ``size / factor`` after whole pixels were averaged."""
    (width, height), (across, down) = size, factor
    result = Image.new("RGB", (-(-width // across), -(-height // down)))
    for top, bottom in row_bands(height, width, down):
        part = convert(image.crop(_stored(turn, (top, bottom), image.size)))
        if turn is not None:
            part = part.transpose(turn)
        result.paste(part if across == down == 1 else part.reduce(factor), (0, top // down))
    return result


def _stored(turn: Transpose | None, rows: tuple[int, int], size: tuple[int, int]) -> Box:
    """Where a band of rows of the turned image lies in the stored one of ``size``."""
    (top, bottom), (width, height) = rows, size
    if turn in _SIDEWAYS:
        left, right = (width - bottom, width - top) if turn in _FROM_RIGHT else (top, bottom)
        return left, 0, right, height
    if turn in _FROM_BOTTOM:
        top, bottom = height - bottom, height - top
    return 0, top, width, bottom
