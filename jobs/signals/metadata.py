"""The blocks of a file that are about it: EXIF, XMP, C2PA. Found by their headers alone; no pixel is decoded.

JPEG segments as in ITU-T T.81 and CIPA DC-008 (EXIF), XMP part 3; PNG chunks as in its third edition; WebP as in RFC
9649; C2PA 2.1, where it is embedded as JUMBF.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_EXIF, _XMP = b"Exif\x00\x00", b"http://ns.adobe.com/xap/1.0/\x00"
_PNG_XMP = b"XML:com.adobe.xmp\x00"
_APP1, _APP11, _SCAN = 0xE1, 0xEB, 0xDA
#: parts looked at, and bytes taken of each block
_MOST_PARTS = 512
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What was found; empty where there is nothing."""

    #: TIFF structure, without any header before it
    exif: bytes = b""
    #: an XML packet
    xmp: bytes = b""
    #: whether a C2PA manifest is in the file; it is not verified
    c2pa: bool = False


def find_metadata(data: bytes) -> Metadata:
    """The blocks of a JPEG, PNG or WebP file; nothing for others, and no more than was whole. Never raises."""
    try:
        if data.startswith(_JPEG):
            return _of_jpeg(data)
        if data.startswith(_PNG):
            return _of_png(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _of_webp(data)
    except (struct.error, IndexError):
        pass
    return Metadata()


def _of_jpeg(data: bytes) -> Metadata:
    exif = xmp = b""
    c2pa = False
    for marker, body in _segments(data):
        if marker == _APP1 and body.startswith(_EXIF):
            exif = exif or body[len(_EXIF) :]
        elif marker == _APP1 and body.startswith(_XMP):
            xmp = xmp or body[len(_XMP) :]
        elif marker == _APP11:
            c2pa = c2pa or b"c2pa" in body[:200]
    return Metadata(exif=exif, xmp=xmp, c2pa=c2pa)


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers before the first scan, with their bodies."""
    at = 2
    for _ in range(_MOST_PARTS):
        if data[at] != 0xFF:
            return
        marker = data[at + 1]
        if marker == _SCAN:
            return
        if marker == 0xFF:  # filling
            at += 1
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        yield marker, data[at + 4 : at + 2 + length]
        at += 2 + max(2, length)


def _of_png(data: bytes) -> Metadata:
    exif = xmp = b""
    c2pa = False
    at = len(_PNG)
    for _ in range(_MOST_PARTS):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + min(length, _MOST_BYTES)]
        if kind == b"eXIf":
            exif = body
        elif kind == b"iTXt" and body.startswith(_PNG_XMP):
            xmp = body[len(_PNG_XMP) + 4 :]  # flags and two empty words; a packed one is no text and says nothing
        elif kind == b"caBX":
            c2pa = True
        elif kind == b"IEND":
            break
        at += 12 + length
    return Metadata(exif=exif, xmp=xmp, c2pa=c2pa)


def _of_webp(data: bytes) -> Metadata:
    exif = xmp = b""
    c2pa = False
    at = 12
    for _ in range(_MOST_PARTS):
        if at + 8 > len(data):
            break
        (length,) = struct.unpack_from("<I", data, at + 4)
        kind, body = data[at : at + 4], data[at + 8 : at + 8 + min(length, _MOST_BYTES)]
        if kind == b"EXIF":
            exif = body.removeprefix(_EXIF)
        elif kind == b"XMP ":
            xmp = body
        elif kind == b"C2PA":
            c2pa = True
        at += 8 + length + length % 2
    return Metadata(exif=exif, xmp=xmp, c2pa=c2pa)
