"""What users get wrong: each mistake has a clear word on standard error, its exit code, and starts nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.flow_program import Program
from support.servers.s3_server import S3Bucket, S3Server


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["screen"], 2, "SOURCE"),
        (["screen", "x", "--resume", "y"], 2, "either"),
        (["screen", "--resume", "nonsense"], 1, "nclscreen jobs"),
        (["screen", "x", "--threshold", "2"], 2, "threshold"),
        (["frobnicate"], 2, "No such command"),
        (["screen", ""], 2, "empty"),
        (["screen", "https://example.org/x"], 2, "not supported"),
        (["screen", "s3://"], 2, "bucket"),
        (["screen", "no/such/folder"], 1, "no such"),
        (["job", "nonsense"], 1, "nclscreen jobs"),
        (["cancel", "nonsense"], 1, "nclscreen jobs"),
        (["flagged", "--job", "nonsense"], 1, "nclscreen jobs"),
        (["show", "--job", "nonsense", "key", "--out", "x.png"], 1, "nclscreen jobs"),
    ],
)
def test_mistakes(program: Program, arguments: list[str], code: int, word: str) -> None:
    done = program(*arguments)
    assert done.returncode == code, done.stderr
    assert word.lower() in done.stderr.lower()
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_a_setting_that_cannot_be_used_is_named(program: Program) -> None:
    done = program("jobs", NCLSCREEN_BATCH_SIZE="many")
    assert done.returncode == 2
    assert "NCLSCREEN_BATCH_SIZE" in done.stderr


@pytest.mark.parametrize(
    ("url", "code", "word"),
    [
        ("nonsense", 2, "URL"),
        ("mysql://host/name", 2, "postgresql"),
        ("postgresql://nobody:secret@127.0.0.1:9/none", 1, "database"),
    ],
)
def test_a_database_that_cannot_be_used(program: Program, url: str, code: int, word: str) -> None:
    done = program("jobs", NCLSCREEN_DATABASE_URL=url)
    assert done.returncode == code, done.stderr
    assert word in done.stderr
    assert "secret" not in done.stderr


def test_weights_that_are_not_there(program: Program, tmp_path: Path) -> None:
    done = program("submit", str(tmp_path), NCLSCREEN_WEIGHTS=str(tmp_path / "none.safetensors"))
    assert done.returncode == 1
    assert "none.safetensors" in done.stderr


def test_an_empty_folder_fails_with_a_hint(program: Program, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no photograph")
    done = program("screen", str(tmp_path / "empty"), "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["state"] == "failed"
    assert "other endings have to be asked for" in document["error"]
    assert document["ignored"] == 1
    assert "--suffix" in program("screen", str(tmp_path / "empty")).stdout, "people are told what to type"


@pytest.mark.s3
def test_what_goes_wrong_with_a_bucket(program: Program, s3_server: S3Server, s3_bucket: S3Bucket) -> None:
    program.env |= s3_server.env | {
        "NCLSCREEN_S3_ENDPOINT_URL": s3_server.endpoint_url,
        "NCLSCREEN_S3_ADDRESSING_STYLE": "path",
    }
    for source, env, word in (
        (s3_bucket.container, {"AWS_SECRET_ACCESS_KEY": "wrong"}, "AWS_SECRET_ACCESS_KEY"),
        ("s3://there-is-no-such-bucket", {}, "there-is-no-such-bucket"),
    ):
        done = program("screen", source, **env)
        assert done.returncode == 1, done.stderr
        assert word in done.stderr
        assert "Traceback" not in done.stderr
    report = program("submit", s3_bucket.container, "--completion-report", "s3://there-is-no-such-bucket/reports")
    assert (report.returncode, report.stdout) == (1, ""), report.stderr
    assert "there-is-no-such-bucket" in report.stderr
    assert program.json("jobs")["jobs"] == []
    empty = program.json("screen", f"{s3_bucket.container}/nothing/here/", code=1)
    assert empty["state"] == "failed"
    assert "no images found" in empty["error"]
