"""What an EXIF block says: programs, moments, the thumbnail. Damaged blocks say what can be read of them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from PIL import Image

_SOFTWARE, _PROCESSING_SOFTWARE, _CHANGED, _ORIENTATION = 0x0131, 0x000B, 0x0132, 0x0112
_EXIF_IFD, _TAKEN, _DIGITISED = 0x8769, 0x9003, 0x9004
_THUMBNAIL_AT, _THUMBNAIL_LENGTH = 0x0201, 0x0202
_LONGEST_THUMBNAIL = 1 << 16


@dataclass(frozen=True, kw_only=True)
class ExifBlock:
    """None where the block does not say it."""

    software: str | None = None
    taken: datetime | None = None
    digitised: datetime | None = None
    changed: datetime | None = None
    #: 1-8
    orientation: int = 1
    #: a JPEG file
    thumbnail: bytes = b""


def read_exif(block: bytes) -> ExifBlock:
    """Never raises."""
    try:
        return _read(block) if block else ExifBlock()
    except Exception:  # noqa: BLE001 - Pillow's reader raises anything on damaged blocks
        return ExifBlock()


def _read(block: bytes) -> ExifBlock:
    tags = Image.Exif()
    tags.load(b"Exif\x00\x00" + block)
    camera = tags.get_ifd(_EXIF_IFD)
    turned = tags.get(_ORIENTATION, 1)
    return ExifBlock(
        software=_text(tags.get(_SOFTWARE)) or _text(tags.get(_PROCESSING_SOFTWARE)),
        taken=_moment(camera.get(_TAKEN)),
        digitised=_moment(camera.get(_DIGITISED)),
        changed=_moment(tags.get(_CHANGED)),
        orientation=turned if isinstance(turned, int) and 1 <= turned <= 8 else 1,
        thumbnail=_thumbnail(block),
    )


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    return value.strip("\x00 \t\r\n") or None if isinstance(value, str) else None


def _moment(value: Any) -> datetime | None:
    try:
        return datetime.strptime(_text(value) or "", "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 - EXIF knows no zone
    except ValueError:
        return None


def _thumbnail(block: bytes) -> bytes:
    """The bytes of IFD1's JPEG; none where the pointers lead nowhere."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return b""
    (first,) = struct.unpack_from(f"{order}I", block, 4)
    (entries,) = struct.unpack_from(f"{order}H", block, first)
    (second,) = struct.unpack_from(f"{order}I", block, first + 2 + 12 * entries)
    if not second:
        return b""
    (entries,) = struct.unpack_from(f"{order}H", block, second)
    found: dict[int, int] = {}
    for number in range(min(entries, 64)):
        tag, _, _, value = struct.unpack_from(f"{order}HHII", block, second + 2 + 12 * number)
        found[tag] = value
    at, length = found.get(_THUMBNAIL_AT, 0), found.get(_THUMBNAIL_LENGTH, 0)
    whole = 0 < length <= _LONGEST_THUMBNAIL and at + length <= len(block)
    return block[at : at + length] if whole else b""
