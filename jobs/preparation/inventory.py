"""A corpus given as an S3 Inventory: its `manifest.json`, and the data files in CSV or Parquet that it names.

The format is that of "Amazon S3 Inventory" in the S3 user guide: keys in CSV are URL-encoded, those in Parquet are not.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import unquote_plus

from jobs.domain import ImageKey, ImageRef
from jobs.errors import InvalidInventory, InvalidSource
from jobs.preparation.manifest import Listed, moment_in, size_in
from jobs.progress import report_progress
from jobs.storage import ObjectStorage, OpenStorage, parse_source
from jobs.storage.lines import iterate_lines
from jobs.stored_text import is_storable

_NAME = "manifest.json"
_LARGEST_MANIFEST = 64 << 20
_CHUNK_BYTES = 1 << 20
_BATCH_ROWS = 4096
_ARN = "arn:aws:s3:::"
#: the columns that matter, by the names that CSV and Parquet give them
_COLUMNS = {
    "bucket": "bucket",
    "key": "key",
    "versionid": "version_id",
    "islatest": "is_latest",
    "isdeletemarker": "is_delete_marker",
    "size": "size",
    "lastmodifieddate": "last_modified_date",
    "etag": "e_tag",
    "storageclass": "storage_class",
}
_NEEDED = ("bucket", "key")


def is_inventory(source: str) -> bool:
    """Whether the source is named as every S3 Inventory's manifest is."""
    return source == _NAME or source.endswith(f"/{_NAME}")


@dataclass(frozen=True, kw_only=True, slots=True)
class _DataFile:
    key: ImageKey
    md5: str


class InventoryReader:
    """Turns an inventory into image references, file by file, in flat memory.

    A data file is copied to a temporary one and held against its checksum before its first row is believed.
    """

    def __init__(
        self,
        uri: str,
        storage: ObjectStorage,
        key: ImageKey,
        open_storage: OpenStorage,
        on_problem: Callable[[int, str], None] | None = None,
    ) -> None:
        """`on_problem` hears running number and reason of rows that name no image; without it the first one raises."""
        self._uri = uri
        self._storage = storage
        self._key = key
        self._open_storage = open_storage
        self._on_problem = on_problem or self._refuse
        self._row = 0

    def read(self) -> Iterator[Listed | None]:
        """Images in the order of the files and rows; None for older versions and deleted objects.

        Raises InvalidInventory: the manifest cannot be understood, or a data file is damaged. And StorageError.
        """
        manifest = self._manifest()
        kind = str(manifest.get("fileFormat")).upper()
        if kind not in ("CSV", "PARQUET"):
            raise InvalidInventory(self._uri, f"its format is {kind}; set the inventory to CSV or Apache Parquet")
        data = self._data_storage(manifest)
        for each in self._files(manifest):
            with self._verified(data, each) as file:
                place = f"{data.container}/{each.key}"
                if kind == "CSV":
                    yield from self._read(place, _csv_rows(file, place, str(manifest.get("fileSchema") or "")))
                else:
                    yield from self._read(place, self._parquet_rows(file, place))

    def _manifest(self) -> Mapping[str, Any]:
        try:
            document = json.loads(self._storage.read(self._key, max_bytes=_LARGEST_MANIFEST))
        except ValueError as error:
            raise InvalidInventory(self._uri, f"it is not JSON: {error}") from None
        if not isinstance(document, dict) or not {"fileFormat", "files"} <= document.keys():
            raise InvalidInventory(self._uri, "it has no 'fileFormat' and 'files', as the manifest of an S3 Inventory")
        return document

    def _data_storage(self, manifest: Mapping[str, Any]) -> ObjectStorage:
        """Where the data files are: the bucket the inventory was delivered to, which the manifest names."""
        bucket = str(manifest.get("destinationBucket") or "").removeprefix(_ARN)
        try:
            return self._open_storage(parse_source(f"s3://{bucket}").container) if bucket else self._storage
        except InvalidSource as error:
            raise InvalidInventory(self._uri, f"its destinationBucket: {error.reason}") from None

    def _files(self, manifest: Mapping[str, Any]) -> Iterator[_DataFile]:
        files = manifest["files"]
        for each in files if isinstance(files, list) else [files]:
            if not isinstance(each, dict) or not all(isinstance(each.get(k), str) for k in ("key", "MD5checksum")):
                raise InvalidInventory(self._uri, f"{each!r} among its files has no 'key' and 'MD5checksum'")
            yield _DataFile(key=ImageKey(each["key"]), md5=each["MD5checksum"].lower())

    @contextmanager
    def _verified(self, storage: ObjectStorage, each: _DataFile) -> Iterator[IO[bytes]]:
        """The data file as a temporary file, once its bytes are what the manifest says."""
        digest = hashlib.md5(usedforsecurity=False)
        with tempfile.TemporaryFile(prefix="nclscreen-") as file:
            with storage.open(each.key) as body:
                while chunk := body.read(_CHUNK_BYTES):
                    report_progress()  # a file of gigabytes comes over a slow line, too
                    digest.update(chunk)
                    file.write(chunk)
            if digest.hexdigest() != each.md5:
                reason = f"its MD5 is {digest.hexdigest()}, the manifest says {each.md5}: it was changed or cut off"
                raise InvalidInventory(f"{storage.container}/{each.key}", reason)
            file.seek(0)
            yield file

    def _read(self, place: str, rows: Iterator[Mapping[str, Any] | ValueError]) -> Iterator[Listed | None]:
        for number, row in enumerate(rows, start=1):
            self._row += 1
            try:
                if isinstance(row, ValueError):
                    raise row
                listed = _listed(row)
            except (ValueError, InvalidSource) as error:
                self._on_problem(self._row, f"{place}, row {number}: {error}")
            else:
                yield listed

    def _parquet_rows(self, file: IO[bytes], place: str) -> Iterator[Mapping[str, Any]]:
        import pyarrow as arrow
        from pyarrow import parquet

        try:
            table = parquet.ParquetFile(file)
            names = set(table.schema_arrow.names)
            missing = [name for name in _NEEDED if name not in names]
            if missing:
                raise InvalidInventory(place, f"it has no column {' and no '.join(missing)}")
            for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=[*names.intersection(_COLUMNS.values())]):
                yield from batch.to_pylist()
        except (arrow.ArrowException, OSError) as error:
            raise InvalidInventory(place, f"it is not Parquet: {error}") from None

    def _refuse(self, row: int, reason: str) -> None:
        raise InvalidInventory(self._uri, reason)


def _csv_rows(file: IO[bytes], place: str, schema: str) -> Iterator[Mapping[str, Any] | ValueError]:
    names = [_COLUMNS.get(name.strip().lower(), "") for name in schema.split(",")]
    if not all(name in names for name in _NEEDED):
        raise InvalidInventory(place, f"the manifest's fileSchema {schema!r} has no Bucket and Key")
    copy = io.FileIO(file.fileno(), closefd=False)
    text = (line.decode("utf-8", "surrogateescape") for line in iterate_lines(copy, place))
    try:
        for row in csv.reader(text):
            if len(row) != len(names):
                yield ValueError(f"it has {len(row)} columns, the schema {len(names)}")
                continue
            record: dict[str, Any] = dict(zip(names, row, strict=True))
            # "+" is a space here, as in every URL-encoded form
            yield {**record, "key": unquote_plus(record["key"], errors="surrogateescape")}
    except csv.Error as error:
        raise InvalidInventory(place, f"it is not CSV: {error}") from None


def _listed(row: Mapping[str, Any]) -> Listed | None:
    """One row; None for what is not there any more. Raises ValueError, InvalidSource."""
    if _flag(row.get("is_delete_marker")) is True or _flag(row.get("is_latest")) is False:
        return None
    bucket, key = (str(row.get(name) or "") for name in _NEEDED)
    if not bucket or not key:
        raise ValueError("it has no bucket or no key")
    if not is_storable(key):
        raise ValueError(f"the key {key!r} has NUL or half a character in it")
    if key.endswith("/") and row.get("size") in (0, "0", "", None):
        return None  # the markers of folders that consoles leave behind
    image = ImageRef(
        container=parse_source(f"s3://{bucket}").container,
        key=ImageKey(key),
        size=size_in(row.get("size")),
        etag=str(row.get("e_tag") or "").strip('"') or None,
        version_id=row.get("version_id") or None,
    )
    return Listed(image, moment_in(row.get("last_modified_date")), str(row.get("storage_class") or "") or None)


def _flag(value: object) -> bool | None:
    """True, False, or None where the inventory does not say."""
    if value is None or value == "":
        return None
    return value if isinstance(value, bool) else str(value).lower() == "true"
