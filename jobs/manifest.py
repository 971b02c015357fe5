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
from jobs.storage import parse_source

MANIFEST_SUFFIXES = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
_KEY_NAMES = ("key", "image", "path", "file", "uri")
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
        key = next((str(record[name]) for name in _KEY_NAMES if record.get(name)), "")
        if not key or "\x00" in key:
            raise InvalidManifest(self._uri, line, "there is no key in it" if not key else "NUL in the key")
        container, key = self._locate(record.get("bucket"), key, line)
        size = record.get("size")
        try:
            size = None if size in (None, "") else int(size)
        except (TypeError, ValueError):
            raise InvalidManifest(self._uri, line, f"the size {size!r} is no whole number of bytes") from None
        return ImageRef(
            container=container,
            key=ImageKey(key),
            size=size,
            etag=_text(record.get("etag")),
            version_id=_text(record.get("version_id") or record.get("versionid")),
        )

    def _locate(self, bucket: object, key: str, line: int) -> tuple[str, str]:
        if bucket:
            return f"s3://{bucket}", key
        absolute_path = key.startswith("/") and self._container.startswith("file:")
        if not absolute_path and not key.startswith(("s3://", "file://")):
            return self._container, key
        try:
            parsed = parse_source(key)
        except JobsError as error:
            raise InvalidManifest(self._uri, line, str(error)) from None
        located = parsed.single_key or parsed.prefix
        if located:
            return parsed.container, located
        if key.startswith("s3://"):
            raise InvalidManifest(self._uri, line, f"{key!r} names a bucket, not an image")
        # a file that is not there (any more): it keeps its place and gets its error code when it is read
        folder, _, name = parsed.container.rpartition("/")
        return folder or "file:///", name


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


def _text(value: object) -> str | None:
    return str(value) if value not in (None, "") else None
