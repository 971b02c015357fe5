"""Files of verdicts: every format says the same, formulas are disarmed, memory stays flat."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from support.builders import FINGERPRINT, MODEL, entry, scored

from jobs.domain import ImageRef, JobId, Verdict
from jobs.domain.verdicts import failed_verdict
from jobs.errors import ErrorCode
from jobs.exports import COLUMNS, ExportFormat, encoded
from jobs.verdicts import FoundVerdict

JOB = JobId("1m7yxf33cw6dnp0t")
NAMES = [column.name for column in COLUMNS]
HOSTILE = ["<script>.jpg", "../x.jpg", "line\nbreak.jpg", "\u202egpj.jpg", "=cmd|' /C calc'!A0", 'quote",;.jpg', "＝x"]


def found(verdict: Verdict) -> FoundVerdict:
    return FoundVerdict(job_id=JOB, model=MODEL, threshold=0.5, verdict=verdict)


def read(kind: ExportFormat, rows: Iterable[FoundVerdict]) -> list[dict[str, Any]]:
    """The rows of a file, as another program reads them."""
    data = b"".join(encoded(rows, kind))
    if kind is ExportFormat.PARQUET:
        return list(pq.read_table(io.BytesIO(data)).to_pylist())
    if kind is ExportFormat.JSONL:
        return [json.loads(line) for line in data.decode().split("\n")[:-1]]
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


@pytest.fixture
def some() -> list[FoundVerdict]:
    """A scored image with everything, and one without a score."""
    evidence = {"scores": {"copies": 0.9}, "untestable": {}, "copies": []}
    full = replace(
        scored(0, entry("a.jpg"), 1 / 3), evidence=evidence, etag='"e"', version_id="-7", tampered_areas=(0.5,) * 9
    )
    message = "refused: postgresql://user:topsecret@host/db"
    failed = failed_verdict(entry("b.jpg"), 1, FINGERPRINT, ErrorCode.CORRUPT, message)
    return [found(full), found(failed)]


@pytest.mark.parametrize("kind", ExportFormat)
def test_every_format_has_every_column_of_every_verdict(kind: ExportFormat, some: list[FoundVerdict]) -> None:
    first, second = read(kind, some)
    assert list(first) == list(second) == NAMES
    assert (first["ref"], first["key"], second["ref"]) == (f"{JOB}/0", "a.jpg", f"{JOB}/1")
    assert float(first["score"]) == 1 / 3  # not rounded
    assert second["error_code"] == "corrupt"
    assert "topsecret" not in str(second)
    assert "***" in second["error_message"]


def test_what_is_none_is_null_and_numbers_are_numbers(some: list[FoundVerdict]) -> None:
    for kind in (ExportFormat.PARQUET, ExportFormat.JSONL):
        first, second = read(kind, some)
        assert second["score"] is None
        assert (first["ordinal"], first["flagged"], first["reused"]) == (0, False, False)
    assert read(ExportFormat.JSONL, some)[0]["evidence"]["scores"] == {"copies": 0.9}
    assert json.loads(read(ExportFormat.PARQUET, some)[0]["evidence"])["scores"] == {"copies": 0.9}
    assert read(ExportFormat.CSV, some)[1]["score"] == ""
    assert read(ExportFormat.CSV, some)[0]["flagged"] == "false"
    assert read(ExportFormat.CSV, some)[0]["version_id"] == "'-7"


@pytest.mark.parametrize("kind", ExportFormat)
@pytest.mark.parametrize("key", HOSTILE)
def test_hostile_keys_arrive_whole_and_run_nowhere(kind: ExportFormat, key: str) -> None:
    image = ImageRef(container="s3://archive", key=entry(key).key)
    (row,) = read(kind, [found(scored(0, image, 0.9))])
    guarded = kind is ExportFormat.CSV and key[0] in "=＝"
    assert row["key"] == (f"'{key}" if guarded else key)


@pytest.mark.parametrize("kind", ExportFormat)
def test_a_file_without_verdicts_is_one(kind: ExportFormat) -> None:
    assert read(kind, []) == []
    data = b"".join(encoded([], kind))
    assert (NAMES[0].encode() in data) is (kind is not ExportFormat.JSONL)


@pytest.mark.parametrize("kind", ExportFormat)
def test_a_database_that_goes_away_leaves_no_whole_file(kind: ExportFormat, some: list[FoundVerdict]) -> None:
    def broken() -> Iterator[FoundVerdict]:
        yield some[0]
        raise ConnectionError("away")

    with pytest.raises(ConnectionError):
        b"".join(encoded(broken(), kind))


@pytest.mark.parametrize("kind", ExportFormat)
def test_memory_does_not_grow_with_the_rows(kind: ExportFormat) -> None:
    """Three times the rows take no more than one and a half of the memory."""
    one = found(scored(0, entry("a" * 200), 0.9))

    def peak(rows: int) -> int:
        tracemalloc.start()
        for piece in encoded((one for _ in range(rows)), kind):
            assert len(piece) < 8_000_000
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(100)
    assert peak(36_000) < 1.5 * peak(12_000)


def test_the_documentation_has_every_column_and_every_format() -> None:
    text = (Path(__file__).parents[2] / "docs" / "exports.md").read_text(encoding="utf-8")
    for column in COLUMNS:
        assert f"| `{column.name}` | {column.kind.__name__} | {column.about} |" in text
    for kind in ExportFormat:
        assert f"| `{kind}` |" in text


def test_duckdb_reads_parquet(some: list[FoundVerdict], tmp_path: Path) -> None:
    path = tmp_path / "verdicts.parquet"
    path.write_bytes(b"".join(encoded(some, ExportFormat.PARQUET)))
    counted = duckdb.sql(f"SELECT count(*), max(score), count(error_code) FROM '{path}'").fetchall()
    assert counted == [(2, 1 / 3, 1)]
