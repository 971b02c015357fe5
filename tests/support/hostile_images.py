"""Bombs and polyglots: small files that ask for much work or memory, or are several things at once."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image
from support.odd_images import encoded, photo, png_header

#: a code, "scored" for a canvas, or several where a decoder's version decides
Ending = str
#: of images that are as large as they say, and of one colour
_SIDE = 5_000
_EOI = b"\xff\xd9"


def hostile_images() -> Iterator[tuple[str, bytes, frozenset[Ending]]]:
    """(name, file, permitted endings), one after the other: some are large."""
    for name, (make, endings) in _KINDS.items():
        yield name, make(), frozenset(endings.split())


# --- JPEG ---


def progressive(width: int, height: int) -> bytes:
    return encoded(photo(width, height).convert("L"), "JPEG", progressive=True, quality=95)


def repeated_scan(times: int = 3000, side: int = 2400) -> bytes:
    """A grey progressive JPEG whose last scan is there many times: found to occupy a decoder for minutes."""
    data = encoded(Image.new("L", (side, side), 90), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * times + _EOI


def _repeated_baseline() -> bytes:
    data = encoded(Image.new("L", (2000, 2000), 90), "JPEG")
    at = data.rindex(b"\xff\xda")
    return data[:at] + data[at:-2] * 300 + _EOI


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _frame(width: int, height: int, *, marker: int = 0xC0, bits: int = 8) -> bytes:
    return _segment(marker, struct.pack(">BHHBBBB", bits, height, width, 1, 1, 0x11, 0))


def _with_frame(new: bytes) -> bytes:
    """A small JPEG with another frame header in place of its own."""
    data = encoded(photo(64, 64).convert("L"), "JPEG")
    at = data.index(b"\xff\xc0")
    return data[:at] + new + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]


def _after_begin(inserted: bytes, data: bytes | None = None) -> bytes:
    data = encoded(photo(64, 64), "JPEG") if data is None else data
    return data[:2] + inserted + data[2:]


def _exif_loop() -> bytes:
    """IFDs that name each other as the next one, and themselves as the place of the camera's tags."""
    entry = struct.pack(">HHII", 0x8769, 4, 1, 8)
    return _segment(0xE1, b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 8))


def _many_pictures() -> bytes:
    small = photo(32, 32)
    return encoded(small, "MPO", save_all=True, append_images=[small] * 200)


# --- PNG ---


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(*before_pixels: bytes, image: Image.Image | None = None) -> bytes:
    """A PNG with chunks put in after its header."""
    data = encoded(image or photo(64, 64), "PNG")
    return data[:33] + b"".join(before_pixels) + data[33:]


def _png_of_rows(width: int, height: int, kind: int, bits: int, row: bytes, *, interlaced: int = 0) -> bytes:
    packer = zlib.compressobj(6)
    packed = b"".join(packer.compress(b"\0" + row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def large_transparent(side: int = 10_000) -> bytes:
    """389 kB of PNG that were found to become 1.9 GB."""
    return _png_of_rows(side, side, 6, 8, b"\1\2\3\4" * side)


# --- WebP, GIF, TIFF, BMP, AVIF ---


def _webp_canvas() -> bytes:
    """A canvas of 16384 x 16384 around a frame of 32 x 32."""
    small = encoded(photo(32, 32), "WEBP")[12:]
    body = b"WEBP" + b"VP8X" + struct.pack("<II", 10, 0) + b"\xff\x3f\0" * 2 + small
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _frames(kind: str, count: int, **options: object) -> bytes:
    frames = [Image.new("P", (8, 8), n % 256) for n in range(count)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)


def _gif_screen() -> bytes:
    data = bytearray(encoded(Image.new("P", (4, 4)), "GIF"))
    data[6:10] = b"\xff\xff\xff\xff"
    return bytes(data)


def _gif_extensions(count: int = 1_000_000) -> bytes:
    data = encoded(Image.new("P", (4, 4)), "GIF")
    at = data.index(b"\x2c")
    return data[:at] + b"\x21\xfe\0" * count + data[at:]


def tiff(tags: dict[int, tuple[int, list[int]]], body: bytes = b"\0" * 64, *, next_ifd: int = 0) -> bytes:
    """A little-endian TIFF: the body at 8, then values that fit nowhere else, then the tags."""
    letters = {3: "H", 4: "I"}
    data = bytearray(b"II*\0\0\0\0\0" + body)
    entries = b""
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(f"<{len(values)}{letters[kind]}", *values)
        if len(packed) > 4:
            place, _ = len(data), data.extend(packed)
            packed = struct.pack("<I", place)
        entries += struct.pack("<HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    struct.pack_into("<I", data, 4, len(data))
    return bytes(data) + struct.pack("<H", len(tags)) + entries + struct.pack("<I", next_ifd)


def _tags(width: int, height: int, **more: tuple[int, list[int]]) -> dict[int, tuple[int, list[int]]]:
    base = {256: (4, [width]), 257: (4, [height]), 258: (3, [8]), 259: (3, [1]), 262: (3, [1]), 277: (3, [1])}
    return base | {int(name[1:]): value for name, value in more.items()}


def _bmp_runs() -> bytes:
    """RLE, which Pillow reads in Python, for 4,000 x 4,000 pixels."""
    runs = (b"\x01\x05" * 4000 + b"\0\0") * 300
    header = struct.pack("<IiiHHIIiiII", 40, 4000, 4000, 1, 8, 1, len(runs), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 1024 + len(runs), 0, 0, 54 + 1024) + header + b"\1\2\3\0" * 256 + runs


def _bmp_sides(width: int, height: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header


def _avif_of(width: int, height: int) -> bytes:
    data = bytearray(encoded(photo(64, 64), "AVIF"))
    struct.pack_into(">II", data, data.index(b"ispe") + 8, width, height)
    return bytes(data)


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", b"\0" * 10_000_000)
    return buffer.getvalue()


def _flat(mode: str, kind: str, **options: object) -> bytes:
    return encoded(Image.new(mode, (_SIDE, _SIDE)), kind, **options)


def _deep() -> bytes:
    return encoded(Image.fromarray(np.full((3000, 3000), 3e38, np.float32)), "TIFF", compression="tiff_adobe_deflate")


_KINDS: dict[str, tuple[Callable[[], bytes], str]] = {
    "jpeg, its last scan 3,000 times": (repeated_scan, "too_large"),
    "jpeg, baseline, its scan 300 times": (_repeated_baseline, "too_large scored corrupt"),
    "jpeg, two frames, the second huge": (lambda: _with_frame(_frame(64, 64) + _frame(60000, 60000)), "too_large"),
    "jpeg, two frames, the first huge": (lambda: _with_frame(_frame(60000, 60000) + _frame(64, 64)), "too_large"),
    "jpeg of no rows": (lambda: _with_frame(_frame(64, 0)), "corrupt"),
    "jpeg of 65535 x 65535": (lambda: _with_frame(_frame(65535, 65535)), "too_large"),
    "jpeg of 9999 x 9999 without them": (lambda: _with_frame(_frame(9999, 9999)), "corrupt scored"),
    "jpeg of 12 bits": (lambda: _with_frame(_frame(64, 64, marker=0xC1, bits=12)), "corrupt"),
    "jpeg, arithmetic": (lambda: _with_frame(_frame(64, 64, marker=0xC9)), "corrupt scored"),
    "jpeg, lossless": (lambda: _with_frame(_frame(64, 64, marker=0xC3)), "corrupt scored"),
    "jpeg, exif that loops": (lambda: _after_begin(_exif_loop()), "scored"),
    "jpeg, 300,000 segments": (lambda: _after_begin(_segment(0xEF, b"") * 300_000), "scored too_large"),
    "jpeg, 3 MB of fill bytes": (lambda: _after_begin(b"\xff" * 3_000_000), "scored corrupt too_large"),
    "jpeg, 200 pictures": (_many_pictures, "scored"),
    "jpeg, cut off": (lambda: progressive(900, 600)[:30_000], "corrupt"),
    "jpeg and zip": (lambda: encoded(photo(64, 64), "JPEG") + _zip(), "scored"),
    "jpeg and script": (lambda: _after_begin(_segment(0xFE, b"*/<script>alert(1)</script>/*")), "scored"),
    "jpeg in a pdf": (lambda: b"%PDF-1.4\n" + encoded(photo(64, 64), "JPEG"), "unsupported_format"),
    "png, 10,000 x 10,000 transparent": (large_transparent, "scored"),
    "png of 50,000 x 50,000": (lambda: png_header(50_000, 50_000), "too_large"),
    "png of 9,999 x 9,999 without them": (lambda: png_header(9_999, 9_999) + _chunk(b"IDAT", b"x"), "corrupt"),
    "png, 16 bits, interlaced": (lambda: _png_of_rows(4000, 4000, 6, 16, b"\7" * 32_000, interlaced=1), "scored"),
    "png, 300 texts of a megabyte": (
        lambda: _png(_chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * 1_000_000)) * 300),
        "scored too_large",
    ),
    "png, a profile of 30 megabytes": (
        lambda: _png(_chunk(b"iCCP", b"a\0\0" + zlib.compress(b"x" * 30_000_000))),
        "scored",
    ),
    "png, 200,000 chunks": (lambda: _png(_chunk(b"prVt", b"") * 200_000), "scored too_large"),
    "png, two headers": (
        lambda: _png(_chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))),
        "too_large corrupt",
    ),
    "png, animated": (lambda: _frames("PNG", 100), "scored"),
    "png and zip": (lambda: _png() + _zip(), "scored"),
    "webp, a canvas of 16,384 x 16,384": (_webp_canvas, "too_large"),
    "webp, 300 frames": (lambda: _frames("WEBP", 300, lossless=True), "scored"),
    "webp, 5,000 x 5,000": (lambda: _flat("RGBA", "WEBP", lossless=True, method=0), "scored too_large"),
    "gif, a screen of 65,535 x 65,535": (_gif_screen, "too_large"),
    "gif, 2,000 frames": (lambda: _frames("GIF", 2000), "scored"),
    "gif, 1,000,000 extensions": (_gif_extensions, "scored too_large"),
    "gif, 5,000 x 5,000": (lambda: _flat("P", "GIF"), "scored"),
    "gif and jar": (lambda: encoded(photo(64, 64).quantize(8), "GIF") + _zip(), "scored"),
    "tiff, 9,000 strips": (lambda: tiff(_tags(8, 9000, t273=(4, [8] * 9000), t279=(4, [8] * 9000))), "scored"),
    "tiff, tiles of 60,000 x 60,000": (
        lambda: tiff(_tags(64, 64, t322=(4, [60000]), t323=(4, [60000]), t324=(4, [8]), t325=(4, [64]))),
        "corrupt too_large",
    ),
    "tiff, packed tiles of 60,000 x 60,000": (
        lambda: tiff(_tags(64, 64, t259=(3, [8]), t322=(4, [60000]), t323=(4, [60000]), t324=(4, [8]), t325=(4, [64]))),
        "corrupt too_large",
    ),
    "tiff, next of itself": (lambda: tiff(_tags(8, 8, t273=(4, [8]), t279=(4, [64])), next_ifd=72), "scored"),
    "tiff, 65,535 samples": (lambda: tiff(_tags(8, 8, t277=(3, [65535]), t273=(4, [8]), t279=(4, [64]))), "corrupt"),
    "tiff, 5,000 x 5,000 packed": (
        lambda: _flat("RGBA", "TIFF", compression="tiff_adobe_deflate"),
        "scored too_large",
    ),
    "tiff of floats beyond all": (_deep, "scored"),
    "tiff, big, counts beyond all": (
        lambda: b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**60) + b"\0" * 64,
        "corrupt too_large unsupported_format",
    ),
    "bmp, runs": (_bmp_runs, "scored corrupt too_large"),
    "bmp of 30,000 x -30,000": (lambda: _bmp_sides(30_000, -30_000), "too_large"),
    "bmp of 9,000 x 9,000 without them": (lambda: _bmp_sides(9_000, 9_000), "corrupt"),
    "avif of 60,000 x 60,000": (lambda: _avif_of(60_000, 60_000), "too_large"),
    "avif of 5,000 x 5,000 without them": (lambda: _avif_of(5_000, 5_000), "corrupt scored"),
    "avif, cut off": (lambda: encoded(photo(300, 200), "AVIF")[:2000], "corrupt"),
    "postscript": (lambda: b"%!PS-Adobe-3.0 EPSF\n(/etc/passwd) run\n", "unsupported_format"),
    "svg": (lambda: b'<svg xmlns:x="http://x"><image href="file:///etc/passwd"/></svg>', "unsupported_format"),
}
