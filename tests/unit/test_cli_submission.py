"""Submitting from the command line: what may be asked, how it is written, and which mistakes are told."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.domain import FailureThreshold, Filters
from nclscreen.cli.app import run
from nclscreen.cli.options import told
from nclscreen.services.errors import InvalidRequest
from nclscreen.services.filters import make_filters
from nclscreen.services.submission import make_options
from nclscreen.services.submission_request import SubmissionRequest
from nclscreen.wiring import Wiring, wire

pytestmark = pytest.mark.usefixtures("photos")

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()


def submitted(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, object]:
    capsys.readouterr()
    assert run(["submit", *arguments, "--json"]) == code
    document: dict[str, object] = json.loads(capsys.readouterr().out)
    return document


def asked(**fields: object) -> SubmissionRequest:
    return SubmissionRequest(source="photos", **fields)  # type: ignore[arg-type]


def test_every_filter_arrives() -> None:
    request = asked(
        suffixes=("jpg",),
        prefix="2026/",
        contains="IMG",
        modified_after="7d",
        modified_before="2026-05-30",
        min_size="10KB",
        max_size="50MB",
        sample=100,
        sample_seed=3,
    )
    filters, relative = make_filters(request, NOW)
    assert filters == Filters(
        suffixes=(".jpg",),
        prefix="2026/",
        contains="IMG",
        modified_after=datetime(2026, 5, 25, 12, tzinfo=UTC).timestamp(),
        modified_before=datetime(2026, 5, 30, tzinfo=UTC).timestamp(),
        min_bytes=10_000,
        max_bytes=50_000_000,
        sample=100,
        sample_seed=3,
    )
    assert relative == {"modified_after": "7d"}


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (asked(min_size="2MB", max_size="1MB"), "--min-size: larger than the largest size"),
        (asked(modified_after="1d", modified_before="2d"), "--modified-after: later than the latest time"),
        (asked(modified_after="soon"), "--modified-after: 'soon' is no time"),
        (asked(max_size="big"), "--max-size: 'big' is no size"),
        (asked(sample=0), "--sample: 0 is not from 1"),
        (asked(sample_seed=2), "--sample-seed: there is no sample"),
        (asked(prefix="a\udcff"), "--prefix: .* is not text"),
        (
            asked(
                suffixes=(
                    ".jpg",
                    "",
                )
            ),
            "--suffix: '' is no ending; write .jpg, or '\\*' for every name",
        ),
        (asked(suffixes=("*.",)), "--suffix: '\\*.' is no ending"),
    ],
)
def test_filters_that_cannot_be_meant(request_: SubmissionRequest, words: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        make_filters(request_, NOW)
    assert re.match(words, told(raised.value))


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (asked(tags=("",)), "--tag: takes 1 to 64"),
        (asked(tags=tuple(str(i) for i in range(21))), "--tag: 21 are given, 20 are the most"),
        (asked(name="x" * 201), "--name: takes 1 to 200"),
        (asked(name="a\udcff"), "--name: .* is not text"),
        (asked(webhook="ftp://host/x"), "--webhook: .* is no address; write https://host/path"),
        (asked(webhook="https:///x"), "--webhook: .* is no address"),
        (asked(webhook="http://host:0/x"), "--webhook: .* is no address"),
        (asked(webhook="http://host:x/"), "--webhook: .* is no address"),
        # what the command line checks by itself, other faces do not
        (asked(priority=1_000_001), "--priority: 1e\\+06 is not from"),
        (asked(max_failures=float("nan")), "--max-failures: nan is not from 0 to 1"),
        (asked(min_sample=0), "--min-sample: 0 is not from 1 to inf"),
    ],
)
def test_options_that_cannot_be_meant(request_: SubmissionRequest, words: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        make_options(request_)
    assert re.match(words, told(raised.value))


def test_a_job_has_all_that_was_asked(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    document = submitted(
        capsys, "photos", "--threshold", "0.25", "--name", "the week", "--tag", "b", "--tag", "a", "--tag", "b",
        "--priority", "-5", "--rescore", "--confirm", "--skip-bad-lines", "--max-failures", "0.1", "--min-sample", "7",
        "--webhook", "https://example.org/hook", "--completion-report", "reports", "--sample", "3",
    )  # fmt: skip
    job = wiring.jobs.get(str(document["id"]))
    assert (job.options.name, job.options.tags, job.options.priority) == ("the week", ("b", "a"), -5)
    assert (job.options.rescore, job.options.confirm, job.options.skip_bad_lines) == (True, True, True)
    assert job.options.failure_threshold == FailureThreshold(ratio=0.1, sample=7)
    assert (job.options.webhook, job.options.report) == ("https://example.org/hook", os.path.abspath("reports"))
    assert (job.threshold, job.policy, job.filters.sample) == (0.25, None, 3)
    assert document["submitted_before"] is False
    assert run(["job", job.id]) == 0
    shown = capsys.readouterr().out
    for words in ("the week", "b, a", "-5", "a sample of 3"):
        assert words in shown
    assert json.loads(json.dumps(document))["options"]["completion_report"] == os.path.abspath("reports")


def test_the_same_token_is_the_same_job_also_when_a_time_is_relative(
    wiring: Wiring, capsys: pytest.CaptureFixture[str]
) -> None:
    first = submitted(capsys, "photos", "--token", "t 1", "--modified-after", "7d")
    again = submitted(capsys, "photos", "--token", "t 1", "--modified-after", "7d")
    assert (again["id"], again["submitted_before"]) == (first["id"], True)
    assert len(wiring.jobs.latest()) == 1
    for other in (["photos", "--token", "t 1"], ["photos", "--token", "t 1", "--modified-after", "8d"]):
        assert run(["submit", *other]) == 1
        words = capsys.readouterr().err
        assert f"the token 't 1' belongs to job {first['id']}" in words.replace("\n", " ")
    assert submitted(capsys, "photos", "--token", "t 2", "--modified-after", "7d")["id"] != first["id"]


def test_the_whole_policy_is_kept_with_the_job(
    wiring: Wiring, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NCLSCREEN_WEIGHTS")  # the tiny model has no calibration
    wire.cache_clear()
    document = submitted(capsys, "photos", "--max-fpr", "0.05")
    policy = document["policy"]
    assert isinstance(policy, dict)
    assert policy["max_fpr"] == 0.05
    assert policy["threshold"] == document["threshold"]
    assert run(["jobs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["jobs"][0]["policy"] == policy
    assert run(["job", str(document["id"])]) == 0
    assert "for at most 5 % false alarms" in capsys.readouterr().out


def test_jobs_are_found_by_tag_name_and_state(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    weekly = submitted(capsys, "photos", "--tag", "weekly", "--tag", "a'b%", "--name", "The 100% Week")["id"]
    other = submitted(capsys, "photos", "--tag", "week")["id"]
    assert run(["cancel", str(other)]) == 0
    capsys.readouterr()

    def listed(*arguments: str) -> list[str]:
        assert run(["jobs", *arguments, "--json"]) == 0
        return [job["id"] for job in json.loads(capsys.readouterr().out)["jobs"]]

    assert listed("--tag", "weekly") == listed("--tag", "a'b%") == listed("--name", "100% w") == [weekly]
    assert listed("--state", "cancelled") == listed("--tag", "week") == [other]
    assert listed("--tag", "week", "--state", "preparing") == listed("--name", "_") == listed("--tag", "b") == []
    assert run(["jobs", "--tag", "none"]) == 0
    assert "no job is like that" in capsys.readouterr().err
    assert run(["jobs", "--state", "asleep"]) == 2


def test_problems_of_a_list_are_shown(wiring: Wiring, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos" / "list.csv").write_text("key,size\n00.jpg,1\n01.jpg,\x1b[31mred\n,2\n02.jpg,3\n")
    assert run(["screen", "photos/list.csv", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["state"] == "failed"
    assert document["error"].startswith("2 lines name no image in ")
    assert document["found"] == {"seen": 4, "bytes": 0, "unsized": 0, "bad_lines": 2}
    assert run(["job", document["id"], "--problems"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(
        "line 3: the size '\\x1b[31mred' is no whole number of bytes\nline 4: there is no key in it\n"
    )
    assert run(["job", document["id"], "--problems", "--json"]) == 0
    problems = json.loads(capsys.readouterr().out)
    assert (problems["bad_lines"], [each["line"] for each in problems["problems"]]) == (2, [3, 4])

    assert run(["screen", "photos/list.csv", "--skip-bad-lines", "--confirm"]) == 1
    assert "2 images, 4 bytes (2 bad lines left out)" in capsys.readouterr().err
    good = wiring.jobs.latest()[0].id
    assert run(["job", good]) == 0
    assert f"2; see them with: nclscreen job {good} --problems" in capsys.readouterr().out


def test_problems_of_a_list_that_cannot_be_read_at_all(
    wiring: Wiring, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos" / "list.csv").write_text("size,etag\n1,abc\n")
    assert run(["screen", "photos/list.csv", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert run(["job", document["id"], "--problems"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("no line is at fault by itself: ")
    assert "no column is named one of key" in printed.err
    assert run(["job", document["id"], "--problems", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["error"] == document["error"]


def test_resuming_takes_no_option_of_submission(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["screen", "--resume", "x", "--tag", "y"]) == 2
    assert "keeps what it was submitted with" in capsys.readouterr().err.replace("\n", " ")
    assert run(["screen", "--resume", "x"]) == 1
    assert "there is no job 'x'" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["s3:/bucket/x"], ["photos", "--completion-report", "s3:/bucket/x"]])
def test_an_address_with_one_slash_is_no_folder(
    wiring: Wiring, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(["submit", *arguments]) == 2
    assert capsys.readouterr().err == "error: cannot use 's3:/bucket/x': write two slashes: s3://bucket/prefix\n"
    assert wiring.jobs.latest() == []
