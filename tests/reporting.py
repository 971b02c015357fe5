"""Completion reports as tests read them: every file checked against the manifest."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import dataclass
from typing import Any

from jobs.domain import ImageKey
from jobs.storage import ObjectStorage


@dataclass(frozen=True, kw_only=True)
class ReadReport:
    """What a reader makes of a report."""

    manifest: dict[str, Any]
    #: rows of all files of a status, in the order of the manifest
    succeeded: list[list[str]]
    failed: list[list[str]]
    #: rows of each file
    files: list[int]


def read_report(storage: ObjectStorage, key: str) -> ReadReport:
    """Read the report whose manifest has this key; sums and counts are checked."""
    manifest = json.loads(storage.read(ImageKey(key)))
    rows: dict[str, list[list[str]]] = {"succeeded": [], "failed": []}
    files = []
    for entry in manifest["Results"]:
        data = storage.read(ImageKey(entry["Key"]))
        assert hashlib.md5(data, usedforsecurity=False).hexdigest() == entry["MD5Checksum"]
        found = list(csv.reader(io.StringIO(data.decode())))
        assert len(found) == entry["Count"]
        assert {row[3] for row in found} == {entry["TaskExecutionStatus"]}
        assert {len(row) for row in found} == {len(manifest["ReportSchema"].split(","))}
        rows[entry["TaskExecutionStatus"]] += found
        files.append(len(found))
    return ReadReport(manifest=manifest, succeeded=rows["succeeded"], failed=rows["failed"], files=files)
