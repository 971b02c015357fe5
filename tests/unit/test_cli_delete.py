"""`delete` from the command line: asked for twice, refused while in use, told what stays."""

from __future__ import annotations

import json

import pytest
from support.builders import entries, ready_job

from jobs.domain import JobId
from jobs.domain.states import JobState
from nclscreen.cli.app import run
from nclscreen.wiring import Wiring


@pytest.fixture
def cancelled(wiring: Wiring) -> JobId:
    job_id = ready_job(wiring.engine, entries(8))
    wiring.jobs.cancel(job_id)
    return job_id


def test_nothing_is_deleted_without_a_yes(cancelled: JobId, wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["delete", cancelled]) == 2
    assert "--yes" in capsys.readouterr().err
    assert wiring.jobs.get(cancelled).state is JobState.CANCELLED
    assert run(["delete", cancelled, "--yes"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"job {cancelled} is deleted, with 0 verdicts; heatmaps")
    assert said.rstrip().endswith(f"/heatmaps/{cancelled}/")
    assert run(["delete", cancelled, "--yes"]) == 1
    assert "there is no job" in capsys.readouterr().err


def test_a_job_that_is_not_over_is_cancelled_first(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    job_id = ready_job(wiring.engine, entries(8))
    assert run(["delete", job_id, "--yes"]) == 1
    assert "it is not over; cancel it first" in capsys.readouterr().err


def test_one_that_was_interrupted_is_listed_and_goes_on(
    cancelled: JobId, wiring: Wiring, capsys: pytest.CaptureFixture[str]
) -> None:
    wiring.jobs.begin_deletion(cancelled)
    assert run(["jobs", "--state", "deleting"]) == 0
    assert cancelled in capsys.readouterr().out
    assert run(["delete", cancelled, "--yes", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["job_id"], document["shards"]) == (cancelled, 2)
    assert run(["jobs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["jobs"] == []
