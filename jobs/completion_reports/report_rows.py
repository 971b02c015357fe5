"""The files of a completion report, in the form of S3 Batch Operations: results as CSV, and a manifest of them.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-examples-reports.html
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field
from hashlib import md5
from typing import Any
from urllib.parse import quote

from jobs.domain import Verdict
from jobs.error_codes import NOTES
from jobs.masking import masked
from jobs.spreadsheet import safe_cell
from jobs.sql.rows import tampered_area

FORMAT = "Report_CSV_20180820"
SCHEMA = "Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage"
#: bytes of one results file, give or take a row
PART_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultsFile:
    """One finished file of results."""

    #: "succeeded" or "failed"
    status: str
    #: from 1
    number: int
    rows: int
    data: bytes

    @property
    def name(self) -> str:
        return f"results/{self.status}-{self.number:05d}.csv"

    def entry(self, bucket: str, key: str) -> dict[str, Any]:
        """Its place in the manifest; `Count` is ours."""
        return {
            "TaskExecutionStatus": self.status,
            "Bucket": bucket,
            "MD5Checksum": md5(self.data, usedforsecurity=False).hexdigest(),
            "Key": key,
            "Count": self.rows,
        }


@dataclass(slots=True)
class ResultsPart:
    """The file of one status that is being filled; never more of it in memory than one part."""

    status: str
    part_bytes: int = PART_BYTES
    _number: int = 1
    _rows: int = 0
    _data: bytearray = field(default_factory=bytearray)

    def add(self, verdict: Verdict) -> ResultsFile | None:
        """Add a row; gives the file when it is full."""
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(result_row(verdict))
        self._data += line.getvalue().encode()
        self._rows += 1
        return self.close() if len(self._data) >= self.part_bytes else None

    def close(self) -> ResultsFile | None:
        """The file with the rows so far, if there are any; the next row begins another."""
        if not self._rows:
            return None
        full = ResultsFile(status=self.status, number=self._number, rows=self._rows, data=bytes(self._data))
        self._number, self._rows, self._data = self._number + 1, 0, bytearray()
        return full


def result_row(verdict: Verdict) -> list[str]:
    """One row: keys are URL-encoded, the message of a scored image is JSON."""
    image = [
        verdict.container.removeprefix("s3://"),
        quote(verdict.key.encode("utf-8", "surrogatepass"), safe="/"),
        safe_cell(verdict.version_id),
    ]
    if verdict.error_code is not None:
        message = safe_cell(masked(verdict.error_message or ""))
        return [*image, "failed", verdict.error_code.value, NOTES[verdict.error_code].http_status, message]
    scored = {
        "ordinal": verdict.ordinal,
        "score": verdict.score,
        "flagged": verdict.flagged,
        "tampered_area": tampered_area(verdict),
        "evidence": None if verdict.evidence is None else verdict.evidence["scores"],
        "map_uri": verdict.map_uri,
        "reused": verdict.reused,
        **({} if verdict.case is None else {"case": verdict.case}),
    }
    return [*image, "succeeded", "", "200", json.dumps(scored, separators=(",", ":"))]
