"""What the first bytes of an image file say of the work that it will make, before any decoder sees them.

Pure Python, nothing is allocated but a few numbers. JPEG as in ITU-T T.81, annex B; PNG as in its third edition,
section 5; TIFF as in revision 6.0 and BigTIFF; WebP as in RFC 9649; AVIF as in ISO/IEC 23008-12 (`ispe`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from ncl_model.imaging.bands import BAND_PIXELS

#: segments of a JPEG, chunks of a PNG and packed texts in it that are looked at; files with more are no ordinary ones
_MOST_PARTS = 4096
_MOST_TEXTS = 16
#: scans of a JPEG; editors write 10 or so, the standard allows any number of repetitions
_MOST_SCANS = 64
#: pixels times passes over them that a decoder does in a few seconds
_MOST_WORK = 600_000_000
_MOST_PIXELS = 40_000_000
#: bytes that any decode may take besides its pixels: buffers, tables, more of both in odd files
_ALWAYS, _IN_ODD_FILES = 16 * 1024 * 1024, 48 * 1024 * 1024
#: for each pixel of a band of rows on its way to RGB
_OF_A_BAND = 28
#: for each pixel where blocks are read at native size: luma, and the rows that are taken of it
_OF_BLOCKS = 3
_PNG = b"\x89PNG\r\n\x1a\n"
_SCAN = b"\xff\xda"
#: markers of JPEG frames: baseline, extended, progressive; and the others, which hardly any file has
_FRAMES, _RARE_FRAMES = {0xC0, 0xC1, 0xC2}, {0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_SCAN_BEGINS, _BEGIN, _END = 0xDA, 0xD8, 0xD9
#: kinds of PNG chunks that hold packed texts, and those of animations
_TEXTS, _ANIMATED = {b"zTXt", b"iTXt", b"iCCP"}, b"acTL"


@dataclass(frozen=True, kw_only=True)
class ImageHeader:
    """How much a file will ask for. What is no image, or damaged at its beginning, asks for nothing."""

    width: int = 0
    height: int = 0
    #: memory that decoding takes at its peak, for each pixel; measured, see docs/benchmarks.md
    bytes_per_pixel: float = 0.0
    #: a still JPEG, PNG or WebP of which nothing is out of the ordinary: its decoding is quick and its memory known
    ordinary: bool = False

    @property
    def pixels(self) -> int:
        return self.width * self.height

    def decode_bytes(self, file_bytes: int, *, native_blocks: bool = False) -> int:
        """Memory that decoding takes at most, for a file of so many bytes that is in memory already.

        ``native_blocks``: whether blocks are read at native size, see ``imaging.native_blocks``.
        """
        each = self.bytes_per_pixel + (_OF_BLOCKS if native_blocks else 0)
        pixels = int(self.pixels * each) + min(self.pixels, BAND_PIXELS) * _OF_A_BAND
        return pixels + file_bytes + _ALWAYS + (0 if self.ordinary else _IN_ODD_FILES)


def read_header(data: bytes) -> ImageHeader | None:
    """The header of a JPEG, PNG, WebP, GIF, TIFF, BMP or AVIF file; None where it is no such file. Never raises."""
    for begin, read in _READERS.items():
        if data.startswith(begin):
            return _read(read, data)
    return _read(_avif, data) if data[4:8] == b"ftyp" else None


def _read(read: Callable[[bytes], ImageHeader], data: bytes) -> ImageHeader:
    try:
        return read(data)
    except (struct.error, LookupError, OverflowError, ValueError):
        return ImageHeader()


def _jpeg(data: bytes) -> ImageHeader:
    frames, at = [], 2
    rare = False
    for _ in range(_MOST_PARTS):
        at = data.index(b"\xff", at)
        marker = data[at + 1]
        if marker == _SCAN_BEGINS:
            break
        if marker in (0xFF, 0x00, 0x01, _BEGIN, _END) or 0xD0 <= marker <= 0xD7:
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker in _FRAMES or marker in _RARE_FRAMES:
            frames.append((marker, *struct.unpack_from(">BHHB", data, at + 4)))
            rare = rare or marker in _RARE_FRAMES
        at += 2 + length
    else:
        rare = True
    return _jpeg_frame(frames, scans=data.count(_SCAN, at), rare=rare or len(frames) != 1)


def _jpeg_frame(frames: list[tuple[int, int, int, int, int]], *, scans: int, rare: bool) -> ImageHeader:
    marker, bits, height, width, components = max(frames, key=lambda frame: frame[2] * frame[3])
    kept = 2 * components if scans > 1 or marker not in (0xC0, 0xC1) else 0  # coefficients of the whole image
    quick = bits == 8 and scans <= _MOST_SCANS and width * height * scans <= _MOST_WORK
    return ImageHeader(
        width=width,
        height=height,
        bytes_per_pixel=5 + kept,
        ordinary=quick and not rare and 0 < width * height <= _MOST_PIXELS,
    )


def _png(data: bytes) -> ImageHeader:
    width, height = struct.unpack_from(">II", data, 16)
    header = ImageHeader(width=width, height=height, bytes_per_pixel=6)
    if data[12:16] != b"IHDR" or width * height > _MOST_PIXELS:
        return header
    at, texts = len(_PNG), 0
    for part in range(_MOST_PARTS):
        if at + 8 > len(data):
            return ImageHeader(width=width, height=height, bytes_per_pixel=6, ordinary=True)
        length, kind = struct.unpack_from(">I4s", data, at)
        texts += kind in _TEXTS
        if texts > _MOST_TEXTS or kind == _ANIMATED or (kind == b"IHDR" and part):
            return header
        at += 12 + length
    return header


def _webp(data: bytes) -> ImageHeader:
    kind, animated = data[12:16], False
    if kind == b"VP8X":
        animated = bool(data[20] & 0x02)
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    known = data[8:12] == b"WEBP" and kind in (b"VP8X", b"VP8L", b"VP8 ")
    return ImageHeader(
        width=width,
        height=height,
        bytes_per_pixel=18,
        ordinary=known and not animated and width * height <= _MOST_PIXELS,
    )


def _gif(data: bytes) -> ImageHeader:
    width, height = struct.unpack_from("<HH", data, 6)
    return ImageHeader(width=width, height=height, bytes_per_pixel=5)


def _bmp(data: bytes) -> ImageHeader:
    (kind,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if kind == 12 else "<ii", data, 18)
    return ImageHeader(width=abs(width), height=abs(height), bytes_per_pixel=8)


def _avif(data: bytes) -> ImageHeader:
    """The largest of the sizes that its items have: tiles are smaller than what they make up."""
    sizes: list[tuple[int, int]] = []
    at = 0
    while (at := data.find(b"ispe", at)) >= 0 and len(sizes) < _MOST_PARTS:
        sizes.append(struct.unpack_from(">II", data, at + 8))
        at += 4
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return ImageHeader(width=width, height=height, bytes_per_pixel=24)


def _tiff(data: bytes) -> ImageHeader:
    order = "<" if data.startswith(b"II") else ">"
    big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
    place, counter, entry = ("Q", "Q", "HHQ") if big else ("I", "H", "HHI")
    (at,) = struct.unpack_from(order + place, data, 8 if big else 4)
    (count,) = struct.unpack_from(order + counter, data, at)
    at += 8 if big else 2
    tags = {}
    for index in range(min(count, _MOST_PARTS)):
        here = at + index * (20 if big else 12)
        tag, kind, number = struct.unpack_from(order + entry, data, here)
        if tag in (_WIDTH, _HEIGHT, _BITS, _SAMPLES):
            tags[tag] = _tiff_value(data, here + (12 if big else 8), order, kind, number, place)
    samples = tags.get(_SAMPLES, 1)
    pixel = tags.get(_BITS, 8) * samples / 8
    # a strip, which may be the whole image, and the image
    return ImageHeader(width=tags[_WIDTH], height=tags[_HEIGHT], bytes_per_pixel=pixel + 8)


#: tags of a TIFF: width, height, bits of a sample, samples of a pixel; and types of values
_WIDTH, _HEIGHT, _BITS, _SAMPLES = 256, 257, 258, 277
_TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}


def _tiff_value(data: bytes, at: int, order: str, kind: int, number: int, place: str) -> int:
    """The first value of a tag; it lies elsewhere where all of them do not fit."""
    letter = _TYPES[kind]
    if number * struct.calcsize(letter) > struct.calcsize(f"={place}"):
        (at,) = struct.unpack_from(order + place, data, at)
    return int(struct.unpack_from(order + letter, data, at)[0])


_READERS: dict[bytes, Callable[[bytes], ImageHeader]] = {
    b"\xff\xd8\xff": _jpeg,
    _PNG: _png,
    b"RIFF": _webp,
    b"GIF8": _gif,
    b"BM": _bmp,
    b"II": _tiff,
    b"MM": _tiff,
}
