"""Masks as PNG files in one ZIP, with a list that says whose each is."""

from __future__ import annotations

import csv
import io
import tempfile
import zipfile
from collections.abc import Iterable, Iterator

from PIL import Image

from jobs.exports.masks import Masked
from jobs.exports.outbox import Outbox
from jobs.spreadsheet import safe_cell

#: the list's name in the archive, and its columns
LIST = "index.csv"
COLUMNS = ("mask", "ref", "container", "key", "sha256", "score", "flagged", "case", "review", "model_fingerprint")
_IN_MEMORY = 4 << 20


def mask_archive(masked: Iterable[Masked]) -> Iterator[bytes]:
    """`masks/JOB/ORDINAL.png`, 1 bit, white where an image looks tampered, at the photograph's size; `index.csv` last.

    A verdict without a heatmap has a line whose `mask` is empty. Names never contain image keys.
    """
    outbox = Outbox()
    with tempfile.SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8", newline="") as lines:
        table = csv.writer(lines)
        table.writerow(COLUMNS)
        with zipfile.ZipFile(outbox, "w", zipfile.ZIP_STORED) as archive:  # a PNG is compressed already
            for each in masked:
                name = "" if each.mask is None else _name(each)
                if each.mask is not None:
                    archive.writestr(name, _png(each))
                table.writerow(_row(name, each))
                yield outbox.take()
            lines.seek(0)
            with archive.open(zipfile.ZipInfo(LIST), "w") as file:
                for line in lines:
                    file.write(line.encode())
        yield outbox.take()


def _name(masked: Masked) -> str:
    ref = masked.found.ref
    return f"masks/{ref.job_id}/{ref.ordinal:09d}.png"


def _png(masked: Masked) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(masked.mask).save(buffer, "PNG")
    return buffer.getvalue()


def _row(name: str, masked: Masked) -> list[str]:
    found, verdict = masked.found, masked.found.verdict
    review = None if found.review is None else found.review.value
    flagged = "true" if verdict.flagged else "false"
    texts = [verdict.case, review, verdict.fingerprint]
    return [
        name,
        *(safe_cell(text) for text in (str(found.ref), verdict.container, verdict.key, verdict.sha256)),
        repr(verdict.score),
        flagged,
        *(safe_cell(text) for text in texts),
    ]
