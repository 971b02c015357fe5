"""`reflag` from the command line: counted, asked for, done, and told."""

from __future__ import annotations

import json

import pytest
from support.builders import scored_job

from jobs.domain import JobId
from jobs.verdicts import VerdictFilter
from nclscreen.cli.app import run
from nclscreen.services.reflagging import ReflagRequest, begin_reflagging
from nclscreen.wiring import Wiring


@pytest.fixture
def job(wiring: Wiring) -> JobId:
    """Scores .2, .4, .6, .8, flagged from .5 on."""
    found = scored_job(wiring.engine, [0.2, 0.4, 0.6, 0.8])
    wiring.jobs.complete(found)
    return found


def flagged(wiring: Wiring, job: JobId) -> list[str]:
    return sorted(each.verdict.key for each in wiring.verdicts.listing(VerdictFilter(job_id=job, flagged=True)))


def test_nothing_changes_without_a_yes(job: JobId, wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["reflag", job, "--threshold", "0.3"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert flagged(wiring, job) == ["2.jpg", "3.jpg"]
    assert run(["reflag", job, "--threshold", "0.3", "--yes"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said == f"job {job} flags from 0.3000 on: 3 images (1 more, 0 fewer)"
    assert flagged(wiring, job) == ["1.jpg", "2.jpg", "3.jpg"]


def test_the_job_is_the_document(job: JobId, wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["reflag", job, "--threshold", "0.7", "--yes", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["threshold"], document["counts"]["flagged"], document["reflagging"]) == (0.7, 1, None)
    assert flagged(wiring, job) == ["3.jpg"]


def test_one_that_was_interrupted_goes_on(job: JobId, wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    begin_reflagging(wiring, ReflagRequest(job_id=job, threshold=0.9))
    assert run(["job", job, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["reflagging"] == {"threshold": 0.9}
    assert run(["reflag", job, "--threshold", "0.9", "--yes"]) == 0
    assert flagged(wiring, job) == []


@pytest.mark.parametrize(
    ("said", "about"),
    [
        ([], "a score from which on"),
        (["--threshold", "0.3", "--max-fpr", "0.1"], "not both"),
        (["--threshold", "2"], "less than or equal to 1"),
    ],
)
def test_half_a_rule_and_two_are_refused(
    job: JobId, wiring: Wiring, capsys: pytest.CaptureFixture[str], said: list[str], about: str
) -> None:
    assert run(["reflag", job, *said, "--yes"]) == 2
    assert about in capsys.readouterr().err
    assert flagged(wiring, job) == ["2.jpg", "3.jpg"]


def test_a_rate_is_of_the_jobs_own_model(job: JobId, wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    """The job's model is not known here, so no threshold of it is, either."""
    assert run(["reflag", job, "--max-fpr", "0.1", "--yes"]) != 0
    assert "ab" * 6 in capsys.readouterr().err
    assert flagged(wiring, job) == ["2.jpg", "3.jpg"]
