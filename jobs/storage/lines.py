"""Lines of a text stream, plain or gzip, in flat memory."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

from jobs.errors import InvalidSource, ObjectTooLarge
from jobs.progress import report_progress

#: a manifest line beyond this is a mistake (a binary file, a missing line end), and must not fill the memory
MAX_LINE_BYTES = 1 << 20

_BUFFER_BYTES = 1 << 18
_GZIP_MAGIC = b"\x1f\x8b"


def iterate_lines(raw: io.RawIOBase | io.BytesIO, uri: str) -> Iterator[bytes]:
    """Lines of `raw`, line ends kept; closes it at the end, or when the caller stops early and drops the iterator.

    Raises:
        InvalidSource: it starts as gzip and does not go on as gzip.
        ObjectTooLarge: a line has more than MAX_LINE_BYTES.
    """
    with io.BufferedReader(cast("io.RawIOBase", raw), _BUFFER_BYTES) as buffered:
        if not buffered.peek(2).startswith(_GZIP_MAGIC):
            yield from _bounded_lines(buffered, uri)
            return
        try:
            with gzip.GzipFile(fileobj=buffered) as unpacked:
                yield from _bounded_lines(cast("BinaryIO", unpacked), uri)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise InvalidSource(uri, f"broken gzip: {error}") from error


def _bounded_lines(stream: BinaryIO | io.BufferedReader, uri: str) -> Iterator[bytes]:
    while line := stream.readline(MAX_LINE_BYTES + 1):
        report_progress()
        if len(line) > MAX_LINE_BYTES:
            raise ObjectTooLarge(uri, f"a line has more than {MAX_LINE_BYTES} bytes")
        yield line
