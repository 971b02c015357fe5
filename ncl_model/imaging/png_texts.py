"""Texts in PNG files that are longer than a decoder's patience: left out, since a picture does without them.

Pillow refuses a file whose text or colour profile unpacks to more than a megabyte (`MAX_TEXT_CHUNK`), or whose texts
are more than 64 MB in all. Editors write such texts: their history, the whole original as base64. Chunks are as in
the PNG specification, third edition, sections 5 and 11.3.
"""

from __future__ import annotations

import struct
import zlib

#: bytes of one text, unpacked; and of all texts of a file
_LONGEST = 1024 * 1024
_ROOM = 16 * 1024 * 1024

_BEGIN = b"\x89PNG\r\n\x1a\n"
#: length, kind, checksum
_FRAME = 12


def without_long_texts(data: bytes) -> bytes:
    """The same PNG file without the chunks that are too long; the very same bytes where there are none.

    Small texts stay: the orientation may be in one. What is no PNG, or cut off, is left to the decoder.
    """
    if not data.startswith(_BEGIN):
        return data
    left_out: list[tuple[int, int]] = []
    at, room = len(_BEGIN), _ROOM
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + _FRAME + length
        if end > len(data):
            break
        if kind in _UNPACKED:
            size = _unpacked_size(kind, data[at + 8 : end - 4])
            if size > _LONGEST or size > room:
                left_out.append((at, end))
            else:
                room -= size
        at = end
    return _cut(data, left_out) if left_out else data


def _cut(data: bytes, left_out: list[tuple[int, int]]) -> bytes:
    kept, at = [], 0
    for begin, end in left_out:
        kept.append(data[at:begin])
        at = end
    return b"".join([*kept, data[at:]])


def _unpacked_size(kind: bytes, body: bytes) -> int:
    """Bytes of the text, or a little more than may be where there are more."""
    packed = _UNPACKED[kind](body)
    if packed is None:
        return len(body)
    try:
        return len(zlib.decompressobj().decompress(packed, _LONGEST + 1))
    except zlib.error:
        return len(body)  # damaged: the decoder does without it


def _after_method(body: bytes) -> bytes | None:
    """zTXt, iCCP: name, 0, method, packed text."""
    return body.partition(b"\0")[2][1:]


def _international(body: bytes) -> bytes | None:
    """iTXt: name, 0, whether packed, method, language, 0, name in it, 0, text."""
    rest = body.partition(b"\0")[2]
    parts = rest[2:].split(b"\0", 2)
    return parts[2] if rest[:1] == b"\1" and len(parts) == 3 else None


#: kinds of chunks with texts, and what is packed in one; None where nothing is
_UNPACKED = {b"tEXt": lambda body: None, b"zTXt": _after_method, b"iTXt": _international, b"iCCP": _after_method}
