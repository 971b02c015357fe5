"""A corpus given as a list: CSV or JSON Lines, local or in a bucket, plain or gzip, of any length.

CSV with a header names its columns: `key` (also `image`, `path`, `file`, `uri`), and optionally `bucket`,
`version_id`, `size`, `etag`. CSV without a header is read as S3 Batch Operations writes it: `bucket,key[,version_id]`
with URL-encoded keys; a single column is a list of keys. JSON Lines use the same names.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote_plus

from jobs.domain import ImageKey, ImageRef
from jobs.errors import JobsError
from jobs.storage import parse_source, split_object_uri
from jobs.stored_text import is_storable

MANIFEST_SUFFIXES = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
_KEY_NAMES = ("key", "image", "path", "file", "uri")
_LARGEST_SIZE = 2**63 - 1
_HEADER_NAMES = {*_KEY_NAMES, "bucket", "version_id", "versionid", "size", "etag"}


class InvalidManifest(JobsError):
    """A line of the manifest does not name an image."""

    def __init__(self, uri: str, line: int, reason: str) -> None:
        self.uri = uri
        self.line = line
        self.reason = reason
        super().__init__(f"{uri}, line {line}: {reason}")


def is_manifest(source: str) -> bool:
    return source.lower().endswith(MANIFEST_SUFFIXES)


class ManifestReader:
    """Turns the lines of one manifest into image references, one at a time."""

    def __init__(self, uri: str, container: str) -> None:
        """`container` is where keys without a bucket are looked up: the manifest's own folder or bucket."""
        self._uri = uri
        self._container = container

    def read(self, lines: Iterable[bytes]) -> Iterator[ImageRef]:
        """Image references in the order of the lines; empty lines are passed over. Raises InvalidManifest."""
        numbered = _NumberedText(self._uri, lines)
        json_lines = self._uri.lower().removesuffix(".gz").endswith(("jsonl", "ndjson"))
        records = _json_records(self._uri, numbered) if json_lines else _csv_records(self._uri, numbered)
        for record in records:
            yield self._reference(record, numbered.line)

    def _reference(self, record: Mapping[str, Any], line: int) -> ImageRef:
        try:
            key = next((text for name in _KEY_NAMES if (text := _text(record, name))), None)
            if key is None:
                raise ValueError("there is no key in it")
            container, key = self._locate(_text(record, "bucket"), key)
            return ImageRef(
                container=container,
                key=ImageKey(key),
                size=_size(record.get("size")),
                etag=_text(record, "etag"),
                version_id=_text(record, "version_id") or _text(record, "versionid"),
            )
        except (ValueError, JobsError) as error:
            raise InvalidManifest(self._uri, line, str(error)) from None

    def _locate(self, bucket: str | None, key: str) -> tuple[str, str]:
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
        if key.startswith("file://") or (local and key.startswith("/")):
            parsed = parse_source(key)
            if parsed.single_key is not None:
                return parsed.container, parsed.single_key
            # a folder, or a file that is not there (any more): it gets its error code when it is read
            return split_object_uri(parsed.container)
        return self._container, key


class _NumberedText:
    """Lines as text, with the number of the last one given out."""

    def __init__(self, uri: str, lines: Iterable[bytes]) -> None:
        self._uri = uri
        self._lines = lines
        self.line = 0

    def __iter__(self) -> Iterator[str]:
        for raw in self._lines:
            self.line += 1
            try:
                yield raw.decode("utf-8-sig" if self.line == 1 else "utf-8")
            except UnicodeDecodeError:
                raise InvalidManifest(self._uri, self.line, "it is not UTF-8 text") from None


def _json_records(uri: str, lines: _NumberedText) -> Iterator[Mapping[str, Any]]:
    for text in lines:
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except ValueError as error:
            raise InvalidManifest(uri, lines.line, f"it is not JSON: {error}") from None
        if isinstance(record, str):
            record = {"key": record}
        if not isinstance(record, dict):
            raise InvalidManifest(uri, lines.line, 'it is neither {"key": ...} nor "key"')
        yield {name.lower(): value for name, value in record.items()}


def _csv_records(uri: str, lines: _NumberedText) -> Iterator[Mapping[str, Any]]:
    header: list[str] | None = None
    first = True
    try:
        for row in csv.reader(lines):
            if not row:
                continue
            if first:
                first = False
                names = [name.strip().lower() for name in row]
                if _HEADER_NAMES.intersection(names):
                    header = names
                    if not set(_KEY_NAMES).intersection(names):
                        raise InvalidManifest(uri, lines.line, f"no column is named one of {', '.join(_KEY_NAMES)}")
                    continue
            yield dict(zip(header, row, strict=False)) if header else _unnamed(uri, lines.line, row)
    except csv.Error as error:
        raise InvalidManifest(uri, lines.line, f"it is not CSV: {error}") from None


def _unnamed(uri: str, line: int, row: list[str]) -> Mapping[str, Any]:
    if len(row) == 1:
        return {"key": row[0]}
    if len(row) in (2, 3):
        names = ("bucket", "key", "version_id")
        return dict(zip(names, [row[0], unquote_plus(row[1]), *row[2:]], strict=False))
    raise InvalidManifest(uri, line, f"{len(row)} columns and no header; write a header with a 'key' column")


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


def _size(value: object) -> int | None:
    if value is None or value == "":
        return None
    try:
        size = int(value) if isinstance(value, str | int) else -1
    except ValueError:
        size = -1
    if not 0 <= size <= _LARGEST_SIZE:
        raise ValueError(f"the size {value!r} is no whole number of bytes")
    return size
