"""S3 Inventories as S3 writes them: data files in CSV or Parquet, and the manifest that names them."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote_plus

import pyarrow as pa
from pyarrow import parquet

from jobs.domain import ImageKey
from jobs.storage import ObjectStorage

SCHEMA = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One object of an inventory."""

    key: str
    bucket: str = "photos"
    version_id: str | None = None
    is_latest: bool = True
    is_delete_marker: bool = False
    size: int | None = 10
    modified: str = "2026-05-17T10:00:00.000Z"
    etag: str | None = "e1"


def csv_data(rows: Sequence[Row]) -> bytes:
    """Without a header, every field quoted, keys URL-encoded, gzip."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    for row in rows:
        writer.writerow(
            [
                row.bucket, quote_plus(row.key, safe="/"), row.version_id or "", str(row.is_latest).lower(),
                str(row.is_delete_marker).lower(), "" if row.size is None else row.size, row.modified, row.etag or "",
                "STANDARD",
            ]
        )  # fmt: skip
    return gzip.compress(text.getvalue().encode())


def parquet_data(rows: Sequence[Row], row_group: int = 4) -> bytes:
    table = pa.table(
        {
            "bucket": pa.array([row.bucket for row in rows], pa.string()),
            "key": pa.array([row.key for row in rows], pa.string()),
            "version_id": pa.array([row.version_id for row in rows], pa.string()),
            "is_latest": pa.array([row.is_latest for row in rows], pa.bool_()),
            "is_delete_marker": pa.array([row.is_delete_marker for row in rows], pa.bool_()),
            "size": pa.array([row.size for row in rows], pa.int64()),
            "last_modified_date": pa.array(
                [datetime.fromisoformat(row.modified) for row in rows], pa.timestamp("ms", tz="UTC")
            ),
            "e_tag": pa.array([row.etag for row in rows], pa.string()),
            "storage_class": pa.array(["STANDARD" for _ in rows], pa.string()),
        }
    )
    buffer = io.BytesIO()
    parquet.write_table(table, buffer, row_group_size=row_group)
    return buffer.getvalue()


def write_inventory(
    storage: ObjectStorage, parts: Sequence[Sequence[Row]], kind: str = "CSV", *, folder: str = "inv", **changes: object
) -> str:
    """Write data files and manifest into one bucket; gives the manifest's URI. `changes` replace its fields."""
    named = []
    for number, rows in enumerate(parts):
        data = csv_data(rows) if kind == "CSV" else parquet_data(rows)
        key = f"{folder}/data/{number}.{'csv.gz' if kind == 'CSV' else 'parquet'}"
        storage.write(ImageKey(key), data, content_type="application/octet-stream")
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        named.append({"key": key, "size": len(data), "MD5checksum": digest})
    manifest = {
        "sourceBucket": "photos",
        "destinationBucket": f"arn:aws:s3:::{storage.container.removeprefix('s3://')}",
        "version": "2016-11-30",
        "creationTimestamp": "1514944800000",
        "fileFormat": kind,
        "fileSchema": SCHEMA if kind == "CSV" else "message s3.inventory { required binary bucket (UTF8); }",
        "files": named,
    } | changes
    key = ImageKey(f"{folder}/2026-11-01T01-00Z/manifest.json")
    return storage.write(key, json.dumps(manifest).encode(), content_type="application/json")
