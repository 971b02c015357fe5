"""Rows as the bytes of a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import chain

from jobs.batches import batches
from jobs.exports.coco import coco_file
from jobs.exports.columns import COLUMNS, Cell, row
from jobs.exports.mask_archive import mask_archive
from jobs.exports.masks import Masked
from jobs.exports.parquet import parquet_file
from jobs.spreadsheet import safe_cell
from jobs.verdicts import FoundVerdict

#: rows that are encoded at once
_BATCH = 500


class ExportFormat(StrEnum):
    """A kind of file with a row for each verdict; the value is its ending."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"

    @property
    def ending(self) -> str:
        return self.value

    @property
    def media_type(self) -> str:
        return {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}.get(
            self.value, "application/vnd.apache.parquet"
        )


class MaskFormat(StrEnum):
    """A kind of file that says where images look tampered."""

    COCO = "coco"
    MASKS = "masks"

    @property
    def ending(self) -> str:
        return {"coco": "json", "masks": "tar"}[self.value]

    @property
    def media_type(self) -> str:
        return {"coco": "application/json", "masks": "application/x-tar"}[self.value]


def encoded_masks(masked: Iterable[Masked], kind: MaskFormat) -> Iterator[bytes]:
    """The file piece by piece, as the masks come."""
    return coco_file(masked) if kind is MaskFormat.COCO else mask_archive(masked)


def encoded(found: Iterable[FoundVerdict], kind: ExportFormat) -> Iterator[bytes]:
    """The file piece by piece, as the verdicts come. A file without rows has its header all the same."""
    rows = map(row, found)
    if kind is ExportFormat.PARQUET:
        return parquet_file(rows)
    return _csv_file(rows) if kind is ExportFormat.CSV else _json_lines(rows)


def _json_lines(rows: Iterable[dict[str, Cell]]) -> Iterator[bytes]:
    """One document a line; evidence and signals are documents in it."""
    for batch in batches(rows, _BATCH):
        yield "".join(f"{json.dumps(_document(each), separators=(',', ':'))}\n" for each in batch).encode()


def _document(cells: dict[str, Cell]) -> dict[str, object]:
    documents = {name: cells[name] for name in ("evidence", "signals")}
    return cells | {name: json.loads(said) if isinstance(said, str) else None for name, said in documents.items()}


def _csv_file(rows: Iterable[dict[str, Cell]]) -> Iterator[bytes]:
    """RFC 4180 in UTF-8, with a header; nothing in it runs as a formula."""
    header: Iterable[list[str]] = [[column.name for column in COLUMNS]]
    for batch in batches(chain(header, ([_cell(value) for value in each.values()] for each in rows)), _BATCH):
        text = io.StringIO(newline="")
        csv.writer(text).writerows(batch)
        yield text.getvalue().encode()


def _cell(value: Cell) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return safe_cell(value) if value is None or isinstance(value, str) else repr(value)
