"""`export`: which verdicts, into which file, and that it appears whole or not at all."""

from __future__ import annotations

import csv
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.builders import FINGERPRINT, entry, ready_job, scored

from jobs.domain import ImageRef, JobId, Verdict
from jobs.domain.verdicts import failed_verdict
from jobs.errors import ErrorCode
from jobs.shards.work_queue import WorkQueue
from nclscreen.cli.app import run
from nclscreen.wiring import Wiring


@pytest.fixture
def job(wiring: Wiring) -> JobId:
    """Three images: unflagged, flagged, broken."""
    images = [ImageRef(container="s3://archive", key=entry(name).key) for name in ("in/a.jpg", "in/b.jpg", "c.jpg")]
    found = ready_job(wiring.engine, images, shard_size=3)
    queue = WorkQueue(wiring.engine, "tests")
    (lease,) = queue.claim(1, 60, fingerprints=[FINGERPRINT], job_id=found)
    verdicts: list[Verdict] = [
        replace(scored(0, images[0], 0.1), map_uri=None),
        replace(scored(1, images[1], 0.9), map_uri=None),
        failed_verdict(images[2], 2, FINGERPRINT, ErrorCode.CORRUPT, "cut off"),
    ]
    queue.finish(lease, verdicts)
    wiring.jobs.complete(found)
    return found


def keys(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row["key"] for row in csv.DictReader(file)]


def test_filters_are_those_of_the_lists(job: JobId, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "below" / "out.csv"
    for said, wanted in [
        (["--job", job], ["in/a.jpg", "in/b.jpg", "c.jpg"]),
        ([], ["in/b.jpg"]),
        (["--job", job, "--flagged"], ["in/b.jpg"]),
        (["--job", job, "--not-flagged"], ["in/a.jpg", "c.jpg"]),
        (["--job", job, "--failed"], ["c.jpg"]),
        (["--job", job, "--scored", "--prefix", "in/", "--max-score", "0.5"], ["in/a.jpg"]),
        (["--job", job, "--code", "corrupt"], ["c.jpg"]),
        (["--job", job, "--code", "timeout"], []),
        (["--job", job, "--container", "s3://archive/"], ["in/a.jpg", "in/b.jpg", "c.jpg"]),
    ]:
        assert run(["export", *said, "--out", str(out)]) == 0, said
        assert keys(out) == wanted, said
        assert f"{len(wanted)} verdict{'s' * (len(wanted) != 1)} in {out}" in capsys.readouterr().out


def test_the_format_is_the_ending_s_or_the_named_one(
    job: JobId, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.parquet"
    assert run(["export", "--job", job, "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(out), "format": "parquet", "verdicts": 3}
    assert pq.read_table(out).num_rows == 3
    assert run(["export", "--job", job, "--out", str(tmp_path / "out.txt"), "--format", "jsonl"]) == 0
    assert len((tmp_path / "out.txt").read_text().splitlines()) == 3
    capsys.readouterr()
    for said in (["--out", str(tmp_path / "x.txt")], ["--out", "-"], ["--out", "x.csv", "--format", "xlsx"]):
        assert run(["export", "--job", job, *said]) == 2
        assert "csv, jsonl, parquet" in capsys.readouterr().err
    assert run(["export", "--job", job, "--out", "-", "--format", "csv", "--json"]) == 2


def test_standard_output_takes_the_file_itself(job: JobId, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["export", "--job", job, "--out", "-", "--format", "jsonl"]) == 0
    written = capfdbinary.readouterr().out
    assert [json.loads(line)["ordinal"] for line in written.splitlines()] == [0, 1, 2]


def test_a_disk_that_takes_nothing_is_told_and_the_old_file_stays(
    job: JobId, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "out.csv"
    taken.mkdir()
    assert run(["export", "--job", job, "--out", str(taken)]) == 1
    assert "cannot write" in capsys.readouterr().err
    assert list(tmp_path.glob(".*")) == []


def test_unknown_jobs_and_orders_that_are_none_are_refused(
    job: JobId, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", "--job", "0000000000000000", "--out", str(tmp_path / "a.csv")]) == 1
    assert run(["export", "--not-flagged", "--out", str(tmp_path / "a.csv")]) == 2
    assert "only the flagged ones" in capsys.readouterr().err
    assert list(tmp_path.glob("*.csv")) == []


def test_masks_and_regions_go_by_the_ending_too(
    job: JobId, wiring: Wiring, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    regions, masks = tmp_path / "regions.coco.json", tmp_path / "masks.tar"
    assert run(["export", "--job", job, "--out", str(regions)]) == 0
    # nobody kept the heatmaps of these: they are said to be missing, and are no empty regions
    assert [image["heatmap"] for image in json.loads(regions.read_text())["images"]] == [False, False]
    assert run(["export", "--job", job, "--out", str(masks), "--cutoff", "0.3"]) == 0
    with tarfile.open(masks) as archive:
        assert archive.getnames() == ["index.csv"]
    assert run(["export", "--job", job, "--out", str(masks), "--cutoff", "0"]) == 2
    assert "cutoff" in capsys.readouterr().err
