"""Submitting through the program itself, on PostgreSQL and a real object storage; nothing is screened."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.flow_program import Program
from support.inventories import Row, write_inventory
from support.servers.s3_server import S3Bucket, S3Server

from jobs.domain import ImageKey
from jobs.storage import open_storage

pytestmark = [pytest.mark.postgres, pytest.mark.s3]


@pytest.fixture
def program_at_scale(program: Program, postgres_url: str, s3_server: S3Server) -> Program:
    program.env |= s3_server.env | {
        "NCLSCREEN_DATABASE_URL": postgres_url,
        "NCLSCREEN_S3_ENDPOINT_URL": s3_server.endpoint_url,
        "NCLSCREEN_S3_ADDRESSING_STYLE": "path",
    }
    return program


def test_an_inventory_is_prepared_confirmed_and_found_again(
    program_at_scale: Program, s3_server: S3Server, s3_bucket: S3Bucket
) -> None:
    program = program_at_scale
    delivered = s3_server.create_bucket()
    rows = [Row(bucket=s3_bucket.name, key=f"{i % 2}/ü {i:02d}.jpg", size=1000 * (i + 1)) for i in range(30)]
    uri = write_inventory(open_storage(delivered.container, delivered.options), [rows[:9], rows[9:]], "Parquet")
    asked = [
        "screen",
        uri,
        "--prefix",
        "1/",
        "--min-size",
        "10KB",
        "--sample",
        "5",
        "--tag",
        "wöchentlich",
        "--confirm",
    ]

    document = program.json(*asked, "--token", "week 21", code=1)

    assert (document["state"], document["counts"]["total"], document["ignored"]) == ("awaiting_confirmation", 5, 25)
    assert document["found"]["seen"] == 30
    assert document["found"]["bytes"] >= 5 * 10_000
    assert document["filters"]["prefix"] == "1/"
    again = program(*asked, "--token", "week 21")
    assert again.returncode == 1
    assert f"this is job {document['id']}" in again.stderr
    assert f"nclscreen confirm {document['id']}" in again.stderr
    other = program("submit", uri, "--token", "week 21")
    assert other.returncode == 1
    assert f"belongs to job {document['id']}" in other.stderr
    assert [job["id"] for job in program.json("jobs", "--tag", "wöchentlich")["jobs"]] == [document["id"]]
    assert program.json("confirm", document["id"])["state"] == "ready"
    assert program.json("cancel", document["id"])["state"] == "cancelled"


def test_bad_lines_of_a_list_in_a_bucket_are_told(program_at_scale: Program, s3_bucket: S3Bucket) -> None:
    program = program_at_scale
    lines = '{"key": "a.jpg", "size": 1}\n{"key": 5}\nnonsense\n"b.jpg"\n'
    storage = open_storage(s3_bucket.container, s3_bucket.options)
    uri = storage.write(ImageKey("lists/l.jsonl"), lines.encode(), content_type="application/json")
    failed = program.json("screen", uri, code=1)
    assert failed["state"] == "failed"
    assert "2 lines name no image" in failed["error"]
    problems = program.json("job", failed["id"], "--problems")
    assert [(each["line"], each["reason"][:18]) for each in problems["problems"]] == [
        (2, "the key 5 is not t"),
        (3, "it is not JSON: Ex"),
    ]
    waiting = program.json("screen", uri, "--skip-bad-lines", "--confirm", code=1)
    assert (waiting["state"], waiting["counts"]["total"]) == ("awaiting_confirmation", 2)
    missing = program("submit", f"{s3_bucket.container}/lists/none.csv")
    assert missing.returncode == 1
    assert "none.csv: The specified key does not exist" in missing.stderr


def test_mistakes_in_options_start_nothing(program: Program, tmp_path: Path) -> None:
    for option, word in (
        (["--min-size", "big"], "10KB"),
        (["--modified-after", "soon"], "2026-05-17"),
        (["--webhook", "host"], "https://"),
        (["--sample", "0"], "sample"),
        (["--threshold", "0.5", "--max-fpr", "0.01"], "only one of them can count"),
    ):
        done = program("submit", str(tmp_path), *option)
        assert done.returncode == 2, done.stderr
        assert word in done.stderr
        assert done.stdout == ""
    assert program.json("jobs")["jobs"] == []
