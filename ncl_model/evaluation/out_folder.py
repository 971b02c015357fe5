"""The folder an evaluation writes into: files put in place whole, and the records line by line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TextIO

from PIL import Image

from ncl_model.evaluation.records import ImageRecord
from ncl_model.evaluation.tables import csv_row
from ncl_model.writing import replacing

_RECORD_COLUMNS = tuple(f.name for f in fields(ImageRecord))


def file_stem(name: str) -> str:
    """A set's name as part of a file name: letters, digits, dots and dashes."""
    kept = "".join(char if char.isascii() and (char.isalnum() or char in ".-") else "-" for char in name)
    return "-".join(part for part in kept.split("-") if part.strip(".")) or "set"


def place(path: Path, content: str | Image.Image) -> None:
    """Write whole or not at all: a reader sees the old file or the new one."""
    with replacing(path) as partial:
        if isinstance(content, str):
            partial.write_bytes(content.encode())
        else:
            kind = "PNG" if path.suffix == ".png" else "JPEG"
            content.save(partial, format=kind, **({"quality": 90} if kind == "JPEG" else {}))


class RecordFile:
    """One line per record, on disk as soon as it is judged: whatever ends a run leaves what was judged behind."""

    def __init__(self, out: Path | None, name: str = "images.csv", *, columns: Sequence[str] = ("set",)) -> None:
        """``out``: the folder; None: nothing is written. ``columns``: what stands before each record."""
        self._path = None if out is None else out / name
        self._columns = columns
        self._file: TextIO | None = None

    def __enter__(self) -> RecordFile:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("w", encoding="utf-8", newline="")
            self._file.write(csv_row((*self._columns, *_RECORD_COLUMNS)))
        return self

    def __exit__(self, *raised: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, before: Sequence[str], record: ImageRecord) -> None:
        """Append one record; ``before``: the values of the columns before it."""
        if self._file is not None:
            self._file.write(csv_row([*before, *(getattr(record, column) for column in _RECORD_COLUMNS)]))
            self._file.flush()
