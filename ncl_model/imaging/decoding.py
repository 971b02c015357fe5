"""From the bytes of any photograph to the canvas the network sees. Thread-safe.

Whatever the bytes are, the only exception is ``ImageUnreadable`` with one of four codes.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ncl_model.architecture.config import NclConfig
from ncl_model.errors import ImageUnreadable
from ncl_model.imaging.canvas import fit_size, pad_to_canvas
from ncl_model.imaging.fitting import fitted_rgb, upright_luma
from ncl_model.imaging.grid import BLOCK
from ncl_model.imaging.native_blocks import NativeBlocks, gather_blocks
from ncl_model.imaging.pixels import to_rgb
from ncl_model.imaging.png_texts import without_long_texts

#: formats that are opened; a short list keeps rarely tested parsers, and EPS with its interpreter, away
#: (MPO, the format of stereo cameras, comes through JPEG)
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
#: default limit, in pixels of the stored image
DEFAULT_MAX_PIXELS = 100_000_000
_MAGIC = re.compile(rb"\xff\xd8\xff|\x89PNG|GIF8|RIFF....WEBP|II[*+]\x00|MM\x00[*+]|BM|....ftypavi[fs]", re.DOTALL)
#: EXIF tag 0x0112 value -> how to bring the image upright
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, kw_only=True, eq=False)
class DecodedImage:
    """One photograph, upright, on the canvas of a config's geometry."""

    #: (H, W, 3) uint8 RGB; H and W are multiples of 32; padding at the right and bottom repeats the edge
    pixels: NDArray[np.uint8]
    #: rows and columns of ``pixels`` that are photograph, not padding
    valid_height: int
    valid_width: int
    #: size of the photograph itself in pixels, upright, before any resizing
    width: int
    height: int
    #: for photographs larger than the canvas, where the config asks for them
    blocks: NativeBlocks | None = None


def decode_image(data: bytes, *, config: NclConfig, max_pixels: int = DEFAULT_MAX_PIXELS) -> DecodedImage:
    """Bytes of a JPEG, PNG, WebP, GIF, TIFF, BMP or AVIF file to a canvas.

    The first frame of an animation is taken, EXIF orientation applied, transparency laid over white.
    Raises ImageUnreadable: ``empty`` (no bytes), ``unsupported_format`` (not a known image format, or a
    colour space without an RGB meaning), ``corrupt`` (damaged or cut off), ``too_large`` (more than
    ``max_pixels``, or than twice Pillow's own limit; found in the header, nothing is decoded).
    """
    with opened_image(data, max_pixels) as image:
        return _to_canvas(image, config)


def decode_photo(data: bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> NDArray[np.uint8]:
    """Bytes of a photograph to (H, W, 3) uint8 RGB at its own size, upright, transparency laid over white.

    Raises ImageUnreadable as ``decode_image`` does.
    """
    with opened_image(data, max_pixels) as image:
        orientation = _orientation(image)
        rgb = to_rgb(image)
        return np.array(rgb.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else rgb)


def image_format(data: bytes) -> str:
    """What kind of image file these bytes are, as Pillow names it: JPEG, PNG, ... Raises as ``decode_image`` does."""
    with opened_image(data, DEFAULT_MAX_PIXELS) as image:
        return str(image.format)


@contextmanager
def opened_image(data: bytes, max_pixels: int) -> Iterator[Image.Image]:
    """The opened image, not decoded yet, its size checked; whatever goes wrong inside leaves as ImageUnreadable."""
    if not data:
        raise ImageUnreadable("empty", "the file has no bytes")
    _quiet_pillow()
    try:
        if data.startswith(_PNG) and len(data) >= 24:
            # Pillow opens a PNG only once its pixels begin; the size stands before them
            header_width, header_height = struct.unpack(">II", data[16:24])
            _check_size(header_width, header_height, max_pixels)
        with Image.open(io.BytesIO(without_long_texts(data)), formats=FORMATS) as image:
            _check_size(*image.size, max_pixels)
            yield image
    except ImageUnreadable:
        raise
    except (Image.DecompressionBombError, MemoryError) as error:
        raise ImageUnreadable("too_large", f"refused by the decoder: {error}") from error
    except UnidentifiedImageError as error:
        raise _unidentified(data) from error
    except Exception as error:
        raise ImageUnreadable("corrupt", f"cannot be decoded: {type(error).__name__}: {error}") from error


def _to_canvas(image: Image.Image, config: NclConfig) -> DecodedImage:
    stored_width, stored_height = image.size
    orientation = _orientation(image)
    turned = orientation >= 5
    width, height = (stored_height, stored_width) if turned else (stored_width, stored_height)
    target, turn = _target_size(width, height, config), UPRIGHT.get(orientation)
    native = config.native_blocks > 0 and target != (width, height) and min(width, height) >= 2 * BLOCK
    if not native:
        _draft(image, target[::-1] if turned else target, config.draft_margin)
    rgb = fitted_rgb(image, turn, target)
    return DecodedImage(
        pixels=pad_to_canvas(np.asarray(rgb)),
        valid_height=target[1],
        valid_width=target[0],
        width=width,
        height=height,
        blocks=gather_blocks(upright_luma(image, turn), target[::-1], config.native_blocks) if native else None,
    )


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageUnreadable("too_large", f"{width}x{height} pixels, the limit is {max_pixels}")


def _target_size(width: int, height: int, config: NclConfig) -> tuple[int, int]:
    if config.geometry == "stretch":
        return config.input_size, config.input_size
    return fit_size(width, height, config.input_size)


def _draft(image: Image.Image, target: tuple[int, int], margin: float) -> None:
    """Let the JPEG decoder skip detail that the resize would throw away; never below ``margin`` times the target."""
    if image.format in {"JPEG", "MPO"} and margin:
        wanted = (int(target[0] * margin), int(target[1] * margin))
        if image.width > wanted[0] and image.height > wanted[1]:
            image.draft(None, wanted)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1-8; 1 when there is none or the EXIF block is damaged, as viewers do."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - damaged EXIF raises anything; the picture itself may be fine
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _unidentified(data: bytes) -> ImageUnreadable:
    if _MAGIC.match(data):
        return ImageUnreadable("corrupt", "starts like an image, but its header is damaged")
    return ImageUnreadable("unsupported_format", "not an image in a supported format")


def _quiet_pillow() -> None:
    """Keep Pillow's warnings about odd files (EXIF, APNG, near-bombs) out of the caller's log and filters.

    A filter that stays, because ``warnings.catch_warnings`` is not safe with threads.
    """
    rule = ("ignore", None, Warning, re.compile(r"PIL(\.|$)"), 0)
    if not warnings.filters or warnings.filters[0] != rule:
        warnings.filterwarnings("ignore", module=r"PIL(\.|$)")
