"""Masks as PNG files in one TAR, with a list that says whose each is."""

from __future__ import annotations

import csv
import io
import tarfile
import tempfile
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.exports.masks import Masked
from jobs.spreadsheet import safe_cell

#: the list's name in the archive, and its columns
LIST = "index.csv"
COLUMNS = (
    *("mask", "mask_of", "ref", "container", "key", "sha256"),
    *("score", "flagged", "case", "review", "model_fingerprint"),
)
#: bytes of the list that are kept in memory; more go into a temporary file
_IN_MEMORY = 4 << 20
_PIECE = 1 << 16


def mask_archive(masked: Iterable[Masked]) -> Iterator[bytes]:
    """`masks/JOB/ORDINAL.png`, 1 bit, white where an image looks tampered, at the photograph's size; `index.csv` last.

    A verdict of which no mask is known, from a heatmap or from a reviewer, has a line whose `mask` is empty. Names
    never contain image keys. TAR and not ZIP, as nothing of a file needs to be remembered once it is written.
    """
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as lines:
        lines.write(_line(COLUMNS))
        for each in masked:
            name = "" if each.mask is None else _name(each)
            if each.mask is not None:
                png = _png(each.mask)
                yield _header(name, len(png)) + png + _padding(len(png))
            lines.write(_line(_row(name, each)))
        size = lines.tell()
        lines.seek(0)
        yield _header(LIST, size)
        yield from iter(lambda: lines.read(_PIECE), b"")
    yield _padding(size) + bytes(2 * tarfile.BLOCKSIZE)


def _header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)


def _name(masked: Masked) -> str:
    ref = masked.found.ref
    return f"masks/{ref.job_id}/{ref.ordinal:09d}.png"


def _png(mask: NDArray[np.bool_]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    return buffer.getvalue()


def _line(cells: Iterable[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()


def _row(name: str, masked: Masked) -> list[str]:
    found, verdict = masked.found, masked.found.verdict
    review = None if found.review is None else found.review.value
    place = (str(found.ref), verdict.container, verdict.key, verdict.sha256)
    about = (verdict.case, review, verdict.fingerprint)
    flagged = "true" if verdict.flagged else "false"
    mask_of = "" if masked.mask_of is None else masked.mask_of.value
    return [name, mask_of, *map(safe_cell, place), repr(verdict.score), flagged, *map(safe_cell, about)]
