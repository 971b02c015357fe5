"""A corpus given as a list: CSV or JSON Lines, local or in a bucket, plain or gzip, of any length.

CSV with a header names its columns: `key` (also `image`, `path`, `file`, `uri`), and optionally `bucket`,
`version_id`, `size`, `etag`, `last_modified` (ISO 8601), `storage_class`, `case`. CSV without a header is read as S3
Batch Operations writes it: `bucket,key[,version_id]` with URL-encoded keys; a single column is a list of keys. JSON
Lines use the same names.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, NoReturn
from urllib.parse import unquote_plus

from jobs.domain import Container, ImageKey, ImageRef
from jobs.domain.corpus import OUTSIDE_FOLDER
from jobs.errors import JobsError
from jobs.preparation.cases import case_name
from jobs.storage import parse_source, split_object_uri
from jobs.storage.uris import folder_path
from jobs.stored_text import is_storable

MANIFEST_SUFFIXES = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
_KEY_NAMES = ("key", "image", "path", "file", "uri")
_LARGEST_SIZE = 2**63 - 1
_OTHER_NAMES = ("bucket", "version_id", "versionid", "size", "etag", "last_modified", "storage_class", "case")
_HEADER_NAMES = {*_KEY_NAMES, *_OTHER_NAMES}


class InvalidManifest(JobsError):
    """A line of the manifest does not name an image."""

    def __init__(self, uri: str, line: int, reason: str) -> None:
        self.uri = uri
        self.line = line
        self.reason = reason
        super().__init__(f"{uri}, line {line}: {reason}")


def is_manifest(source: str) -> bool:
    return source.lower().endswith(MANIFEST_SUFFIXES)


class Listed(NamedTuple):
    """One image as a list names it."""

    image: ImageRef
    #: seconds since the epoch, UTC; None where the list does not say
    modified_at: float | None = None
    #: of S3; None where the list does not say
    storage_class: str | None = None


class ManifestReader:
    """Turns the lines of one manifest into image references, one at a time."""

    def __init__(
        self,
        uri: str,
        container: Container,
        on_problem: Callable[[int, str], None] | None = None,
        *,
        allow_outside: bool = False,
    ) -> None:
        """`allow_outside`: a local list may name files outside its own folder.

        `container` is where keys without a bucket are looked up: the manifest's own folder or bucket.

        `on_problem` hears line and reason of every line that names no image; without it the first one raises.
        """
        self._uri = uri
        self._container = container
        self._on_problem = on_problem or self._refuse
        self._allow_outside = allow_outside

    def read(self, lines: Iterable[bytes]) -> Iterator[Listed]:
        """Images in the order of the lines; empty lines are passed over.

        Raises InvalidManifest for a header without keys, and for the first bad line if nobody wants to hear of it.
        """
        numbered = _NumberedText(lines)
        json_lines = self._uri.lower().removesuffix(".gz").endswith(("jsonl", "ndjson"))
        records = _JsonRecords(numbered) if json_lines else _CsvRecords(numbered, self._refuse)
        while True:
            try:
                listed = self._listed(next(records))
            except StopIteration:
                return
            except _BadLine as error:
                self._on_problem(numbered.line, str(error))
            else:
                yield listed

    def _refuse(self, line: int, reason: str) -> NoReturn:
        raise InvalidManifest(self._uri, line, reason)

    def _listed(self, record: Mapping[str, Any]) -> Listed:
        try:
            key = next((text for name in _KEY_NAMES if (text := _text(record, name))), None)
            if key is None:
                raise ValueError("there is no key in it")
            container, key = self._locate(_text(record, "bucket"), key)
            image = ImageRef(
                container=container,
                key=ImageKey(key),
                size=size_in(record.get("size")),
                etag=(_text(record, "etag") or "").strip('"') or None,
                version_id=_text(record, "version_id") or _text(record, "versionid"),
                case=case_name(_text(record, "case")),
            )
            return Listed(image, moment_in(record.get("last_modified")), _text(record, "storage_class"))
        except (ValueError, JobsError) as error:
            raise _BadLine(str(error)) from None

    def _locate(self, bucket: str | None, key: str) -> tuple[Container, str]:
        """Container and key. Raises ValueError or InvalidSource."""
        if bucket:
            parsed = parse_source(f"s3://{bucket}")
            if parsed.prefix:
                raise ValueError(f"{bucket!r} cannot be the name of a bucket")
            return parsed.container, key
        local = self._container.startswith("file:")
        if key.startswith("s3://"):
            parsed = parse_source(key)
            if not parsed.prefix:
                raise ValueError(f"{key!r} names a bucket, not an image")
            return parsed.container, parsed.prefix
        if key.startswith("file://") and not local:
            # whoever may write to the bucket must not choose files of the workers' disks
            raise ValueError("a list in a bucket cannot name local files")
        if local and (key.startswith(("/", "file://")) or ".." in key.split("/")):
            return self._locate_file(key)
        return self._container, key

    def _locate_file(self, key: str) -> tuple[Container, str]:
        """Folder and name of a file that is not given by its place below the list's folder. Raises ValueError."""
        folder = os.fsdecode(folder_path(self._container))
        parsed = parse_source(key if key.startswith("file://") else os.path.normpath(os.path.join(folder, key)))
        # a folder, or a file that is not there (any more), gets its error code when it is read
        found = (parsed.container, parsed.single_key) if parsed.single_key else split_object_uri(parsed.container)
        inside = f"{self._container.rstrip('/')}/"
        if not self._allow_outside and not f"{found[0]}/".startswith(inside):
            raise ValueError(f"{key!r} {OUTSIDE_FOLDER}")
        return found


class _BadLine(ValueError):
    """The line that was just read names no image."""


class _NumberedText:
    """Lines as text, with the number of the last one given out. Goes on behind a line that is no text."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = iter(lines)
        self.line = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        raw = next(self._lines)
        self.line += 1
        try:
            return raw.decode("utf-8-sig" if self.line == 1 else "utf-8")
        except UnicodeDecodeError:
            raise _BadLine("it is not UTF-8 text") from None


class _JsonRecords:
    """Records of JSON Lines. No generator: it goes on behind a bad line."""

    def __init__(self, lines: _NumberedText) -> None:
        self._lines = lines

    def __next__(self) -> Mapping[str, Any]:
        while not (text := next(self._lines)).strip():
            pass
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise _BadLine(f"it is not JSON: {error}") from None
        if isinstance(record, str):
            return {"key": record}
        if not isinstance(record, dict):
            raise _BadLine('it is neither {"key": ...} nor "key"')
        return {name.lower(): value for name, value in record.items()}


class _CsvRecords:
    """Records of CSV, with or without a header. No generator: it goes on behind a bad line."""

    def __init__(self, lines: _NumberedText, refuse: Callable[[int, str], NoReturn]) -> None:
        self._lines = lines
        self._rows = csv.reader(lines)
        self._refuse = refuse
        self._header: list[str] | None = None
        self._first = True

    def __next__(self) -> Mapping[str, Any]:
        row = self._row()
        if self._first:
            self._first = False
            if self._is_header(row):
                row = self._row()
        return dict(zip(self._header, row, strict=False)) if self._header else _unnamed(row)

    def _row(self) -> list[str]:
        try:
            while not (row := next(self._rows)):
                pass
        except csv.Error as error:
            raise _BadLine(f"it is not CSV: {error}") from None
        return row

    def _is_header(self, row: list[str]) -> bool:
        names = [name.strip().lower() for name in row]
        if not _HEADER_NAMES.intersection(names):
            self._refuse_other_separators(names)
            return False
        self._header = names
        if not set(_KEY_NAMES).intersection(names):
            self._refuse(self._lines.line, f"no column is named one of {', '.join(_KEY_NAMES)}")
        return True

    def _refuse_other_separators(self, names: list[str]) -> None:
        """A header as spreadsheets write it in some countries; read as keys, all lines would name nothing."""
        if len(names) != 1:
            return
        for separator, words in ((";", "semicolons"), ("\t", "tabs")):
            parts = [part.strip() for part in names[0].split(separator)]
            if len(parts) > 1 and set(_KEY_NAMES).intersection(parts):
                self._refuse(self._lines.line, f"the columns are separated by {words}; write commas")


def _unnamed(row: list[str]) -> Mapping[str, Any]:
    if len(row) == 1:
        return {"key": row[0]}
    if len(row) in (2, 3):
        names = ("bucket", "key", "version_id")
        return dict(zip(names, [row[0], unquote_plus(row[1]), *row[2:]], strict=False))
    raise _BadLine(f"{len(row)} columns and no header; write a header with a 'key' column")


def _text(record: Mapping[str, Any], name: str) -> str | None:
    """A field as text that every database takes; None where it is absent or empty. Raises ValueError."""
    value = record.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError(f"the {name} {value!r} is not text")
    if not is_storable(value):
        raise ValueError(f"the {name} {value!r} has NUL or half a character in it")
    return value


def size_in(value: object) -> int | None:
    """A size in bytes; None where it is absent or empty. Raises ValueError."""
    if value is None or value == "":
        return None
    try:
        size = int(value) if isinstance(value, str | int) else -1
    except ValueError:
        size = -1
    if not 0 <= size <= _LARGEST_SIZE:
        raise ValueError(f"the size {value!r} is no whole number of bytes")
    return size


def moment_in(value: object) -> float | None:
    """An ISO 8601 moment as seconds since the epoch, UTC unless it says otherwise; None where there is none.

    Raises ValueError.
    """
    if value is None or value == "":
        return None
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"the time {value!r} is not ISO 8601, such as 2026-05-17T10:00:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
