"""Image files with something changed, each by its number: the same seed and number give the same bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache

import numpy as np
from support.odd_images import encoded, photo

KINDS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
#: numbers that headers take badly
_AWKWARD = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 10_000, 65_500)
#: where headers are; changes there are more telling than in pixels
_HEADER_BYTES = 600

Random = np.random.Generator


def mutated(seed: int, number: int) -> tuple[str, bytes]:
    """(kind, file): the kinds take turns, with one to four changes each."""
    random = np.random.default_rng([seed, number])
    kind = KINDS[number % len(KINDS)]
    originals = _originals(kind)
    data = bytearray(originals[int(random.integers(len(originals)))])
    for _ in range(int(random.integers(1, 5))):
        _CHANGES[int(random.integers(len(_CHANGES)))](data, random)
    return kind, bytes(data)


@cache
def _originals(kind: str) -> tuple[bytes, ...]:
    """Small files that use what the format has."""
    rgb, large = photo(48, 32), photo(400, 300, seed=1)
    grey, palette, transparent = rgb.convert("L"), rgb.quantize(16), rgb.convert("RGBA")
    transparent.putalpha(100)
    made: dict[str, list[bytes]] = {
        "JPEG": [
            encoded(rgb, "JPEG"),
            encoded(large, "JPEG", progressive=True),
            encoded(grey, "JPEG", restart_marker_blocks=2),
            encoded(rgb.convert("CMYK"), "JPEG"),
            encoded(rgb, "MPO", save_all=True, append_images=[rgb]),
        ],
        "PNG": [
            encoded(rgb, "PNG"),
            encoded(large, "PNG"),
            encoded(palette, "PNG", transparency=2),
            encoded(transparent, "PNG"),
            encoded(rgb, "PNG", save_all=True, append_images=[photo(48, 32, seed=3)]),
        ],
        "WEBP": [
            encoded(rgb, "WEBP"),
            encoded(large, "WEBP"),
            encoded(transparent, "WEBP", lossless=True),
            encoded(rgb, "WEBP", save_all=True, append_images=[photo(48, 32, seed=3)]),
        ],
        "GIF": [
            encoded(palette, "GIF"),
            encoded(palette, "GIF", transparency=2, interlace=0),
            encoded(palette, "GIF", save_all=True, append_images=[photo(48, 32, seed=3).quantize(16)]),
        ],
        "TIFF": [
            encoded(rgb, "TIFF"),
            *(
                encoded(rgb, "TIFF", compression=name)
                for name in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
            ),
            encoded(grey.convert("1"), "TIFF", compression="group4"),
            encoded(rgb, "TIFF", big_tiff=True),
        ],
        "BMP": [encoded(rgb, "BMP"), encoded(grey, "BMP"), encoded(palette, "BMP")],
        "AVIF": [encoded(rgb, "AVIF", speed=10), encoded(transparent, "AVIF", speed=10, subsampling="4:4:4")],
    }
    return tuple(made[kind])


def _place(data: bytearray, random: Random) -> int:
    near = random.random() < 0.7
    return int(random.integers(max(1, min(len(data), _HEADER_BYTES) if near else len(data))))


def _flip(data: bytearray, random: Random) -> None:
    for _ in range(int(random.integers(1, 9))):
        if data:
            data[_place(data, random)] ^= 1 << int(random.integers(8))


def _overwrite(data: bytearray, random: Random) -> None:
    at = _place(data, random)
    data[at : at + 8] = random.bytes(min(8, max(0, len(data) - at)))


def _awkward_number(data: bytearray, random: Random) -> None:
    value = _AWKWARD[int(random.integers(len(_AWKWARD)))]
    code, most = (("B", 0xFF), ("H", 0xFFFF), ("I", 0xFFFFFFFF))[int(random.integers(3))]
    packed = struct.pack(("<" if random.random() < 0.5 else ">") + code, min(value, most))
    at = _place(data, random)
    data[at : at + len(packed)] = packed


def _cut(data: bytearray, random: Random) -> None:
    at = _place(data, random)
    del data[at : at + int(random.integers(1, 64))]


def _cut_off(data: bytearray, random: Random) -> None:
    del data[int(random.integers(len(data) + 1)) :]


def _repeat(data: bytearray, random: Random) -> None:
    at = _place(data, random)
    part = bytes(data[at : at + int(random.integers(1, 200))])
    data[at:at] = part * int(random.integers(1, 60))


def _splice(data: bytearray, random: Random) -> None:
    """The end of a file of any kind behind the beginning of this one."""
    others = _originals(KINDS[int(random.integers(len(KINDS)))])
    other = others[int(random.integers(len(others)))]
    at = int(random.integers(len(data) + 1))
    data[at:] = other[int(random.integers(len(other))) :]


_CHANGES: tuple[Callable[[bytearray, Random], None], ...] = (
    _flip,
    _overwrite,
    _awkward_number,
    _awkward_number,
    _cut,
    _cut_off,
    _repeat,
    _splice,
)
