"""The complete lists as CSV, for a spreadsheet: no cell can run as a formula there."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from jobs.domain import Verdict
from jobs.masking import masked
from jobs.spreadsheet import safe_cell
from jobs.sql.rows import tampered_area
from jobs.verdicts import FoundVerdict
from nclscreen.evidence_text import cell, fired_in

FLAGGED_COLUMNS = (
    "ordinal",
    "container",
    "key",
    "score",
    "tampered_area",
    "evidence",
    "width",
    "height",
    "bytes",
    "sha256",
    "map_uri",
)
FAILED_COLUMNS = ("ordinal", "container", "key", "error_code", "error_message", "bytes")


def write_flagged(file: TextIO, found: Iterable[FoundVerdict]) -> Counter[str]:
    """All flagged images, highest score first; tampered_area is the share at probability 0.5 or more.

    Gives in how many of them each kind of evidence fired.
    """
    images: Counter[str] = Counter()

    def rows() -> Iterator[list[object]]:
        for item in found:
            kinds = fired_in(item.verdict, item.threshold)
            images.update(kinds)
            yield _flagged_row(item.verdict, kinds)

    _write(file, FLAGGED_COLUMNS, rows())
    return images


def write_failed(file: TextIO, found: Iterable[FoundVerdict]) -> None:
    """All images without a score."""
    _write(file, FAILED_COLUMNS, (_failed_row(item.verdict) for item in found))


def _flagged_row(verdict: Verdict, kinds: Sequence[str]) -> list[object]:
    area = tampered_area(verdict)
    return [
        verdict.ordinal,
        safe_cell(verdict.container),
        safe_cell(verdict.key),
        f"{verdict.score:.4f}",
        "" if area is None else f"{area:.4f}",
        safe_cell(cell(kinds)),
        verdict.width,
        verdict.height,
        verdict.size,
        verdict.sha256,
        safe_cell(verdict.map_uri),
    ]


def _failed_row(verdict: Verdict) -> list[object]:
    code = verdict.error_code.value if verdict.error_code else ""
    place = [verdict.ordinal, safe_cell(verdict.container), safe_cell(verdict.key)]
    return [*place, code, safe_cell(verdict.error_message and masked(verdict.error_message)), verdict.size]


def _write(file: TextIO, columns: tuple[str, ...], rows: Iterator[list[object]]) -> None:
    writer = csv.writer(file)
    writer.writerow(columns)
    writer.writerows(rows)
