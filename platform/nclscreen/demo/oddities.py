"""Files as they lie about in real collections: broken ones, and sound ones of unusual kinds."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from jobs.errors import ErrorCode

_ORIENTATION = 0x0112


@dataclass(frozen=True, kw_only=True, slots=True)
class Oddity:
    """One odd file and how it must end: with this error code, or, where that is None, with a score."""

    name: str
    data: bytes
    code: ErrorCode | None = None


def oddities(photos: Mapping[str, Image.Image]) -> list[Oddity]:
    """Twelve odd files, made of the photographs by name."""
    coffee, cat, astronaut = photos["coffee"], photos["cat"], photos["astronaut"]
    rocket, admiral = photos["rocket"], photos["admiral"]
    jpeg = _encoded(coffee, "JPEG", quality=90)
    return [
        Oddity(name="empty.jpg", data=b"", code=ErrorCode.EMPTY),
        Oddity(
            name="a text, not a photograph.jpg",
            data=b"Shopping list: milk, bread, apples.\n" * 20,
            code=ErrorCode.UNSUPPORTED_FORMAT,
        ),
        Oddity(name="cut off.jpg", data=jpeg[: len(jpeg) // 2], code=ErrorCode.CORRUPT),
        Oddity(name="50000 x 50000.png", data=_png_header(50_000, 50_000), code=ErrorCode.TOO_LARGE),
        Oddity(name="four inks (CMYK).jpg", data=_encoded(rocket.convert("CMYK"), "JPEG", quality=90)),
        Oddity(name="16 bit grey.png", data=_deep_grey(photos["camera"])),
        Oddity(name="palette and transparency.png", data=_see_through(astronaut)),
        Oddity(name="animation.gif", data=_animation(coffee)),
        Oddity(name="turned by EXIF.jpg", data=_turned(admiral)),
        Oddity(name="modern.webp", data=_encoded(cat, "WEBP", quality=85)),
        Oddity(name="one pixel.png", data=_encoded(Image.new("RGB", (1, 1), (90, 120, 60)), "PNG")),
        Oddity(
            name='it\'s a "name"\nof two lines, ünï 写真.jpg',
            data=_encoded(cat, "JPEG", quality=90),
        ),
    ]


def _encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def _png_header(width: int, height: int) -> bytes:
    """A PNG that says it is huge and holds next to nothing."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def _deep_grey(photo: Image.Image) -> bytes:
    grey = np.asarray(photo.convert("L"), dtype=np.uint16)
    return _encoded(Image.fromarray(grey * np.uint16(257)), "PNG")


def _see_through(photo: Image.Image) -> bytes:
    return _encoded(photo.quantize(128), "PNG", transparency=0)


def _animation(photo: Image.Image) -> bytes:
    frames = [photo.resize((300, 200)).rotate(turn).quantize(64) for turn in (0, 4, 8)]
    return _encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=200, loop=0)


def _turned(photo: Image.Image) -> bytes:
    """Stored on its side, with the note that viewers must turn it back."""
    exif = Image.Exif()
    exif[_ORIENTATION] = 6
    return _encoded(photo.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=90, exif=exif.tobytes())
