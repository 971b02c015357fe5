"""`replay`: counts in words and as a document; a rule that cannot be is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from support.builders import FINGERPRINT, entry, ready_job, scored, unreadable

from jobs.domain import JobId
from jobs.shards.work_queue import WorkQueue
from nclscreen.cli.app import run
from nclscreen.wiring import Wiring


@pytest.fixture
def job(wiring: Wiring) -> JobId:
    """Three scored images of four, the job still runs."""
    images = [entry(f"{i}.jpg") for i in range(5)]
    found = ready_job(wiring.engine, images, shard_size=4)
    queue = WorkQueue(wiring.engine, "tests")
    (lease,) = queue.claim(1, 60, fingerprints=[FINGERPRINT], job_id=found)
    areas = [(0.001,) * 16, (0.1,) * 16, (0.2,) * 16]
    verdicts = [replace(scored(i, images[i], 0.4 + i / 10), tampered_areas=areas[i]) for i in range(3)]
    queue.finish(lease, [*verdicts, unreadable(3, images[3])])
    return found


def test_what_another_rule_would_flag(job: JobId, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", job, "--threshold", "0.3", "--min-area", "0.15"]) == 0
    said = capsys.readouterr().out
    assert "flagged now   2 of 3 scored, from score 0.5000" in said
    assert "would flag    1 of 3 scored, from score 0.3000 and an area of 15.00% at 0.5" in said
    assert "0 more, 1 fewer" in said
    assert "no score      1" in said
    assert "so far: the job is running" in said


def test_the_document(job: JobId, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", job, "--threshold", "0.35", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "job": job,
        "state": "running",
        "threshold": 0.35,
        "min_area": 0.0,
        "cutoff": 0.5,
        "scored": 3,
        "failed": 1,
        "flagged": 2,
        "would_flag": 3,
        "added": 1,
        "removed": 0,
        "unknown": 0,
    }
    assert run(["replay", job, "--json"]) == 0
    own = json.loads(capsys.readouterr().out)
    assert (own["would_flag"], own["added"], own["removed"]) == (2, 0, 0)


def test_a_rule_that_cannot_be_is_refused(job: JobId, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", job, "--cutoff", "0.33"]) == 2
    assert "--cutoff: areas are kept at 0.2, 0.25" in capsys.readouterr().err
    assert run(["replay", job, "--threshold", "nan"]) == 2
    assert run(["replay", "0" * 16]) == 1
