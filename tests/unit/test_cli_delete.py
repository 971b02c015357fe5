"""`delete` from the command line: asked for twice, refused while in use, told what stays."""

from __future__ import annotations

import json

import pytest
from support.builders import entries, ready_job

from jobs.domain import Job, JobId, Work, WorkKind
from jobs.domain.states import JobState
from jobs.errors import JobNotFound
from jobs.leased_work import task
from jobs.screening.thread_runner import ThreadRunner
from jobs.testing import FixedModels
from nclscreen.cli.app import run
from nclscreen.services import deletion
from nclscreen.services.deletion import delete_job
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


def test_who_asks_waits_for_whoever_removes_it(
    cancelled: JobId, wiring: Wiring, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process has it: nothing is done twice, and the command ends when the job is gone."""
    monkeypatch.setattr(deletion, "_COUNT_EVERY_S", 0.0)
    wiring.jobs.begin_deletion(cancelled)
    (work,) = wiring.jobs.work.claim(WorkKind.DELETION, 1, 60)
    looks: list[int] = []

    def looked(job: Job, done: int) -> None:
        looks.append(done)
        if len(looks) == 3:
            list(wiring.jobs.delete(work))

    gone = delete_job(wiring, cancelled, looked)
    assert (gone.job_id, gone.shards, len(looks)) == (cancelled, 2, 3)
    with pytest.raises(JobNotFound):
        wiring.jobs.get(cancelled)


def test_what_cannot_be_removed_is_told(
    cancelled: JobId, wiring: Wiring, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "MAX_SURPRISES", 1)

    def broken(work: Work) -> None:
        raise RuntimeError("odd")

    with monkeypatch.context() as patched:
        patched.setattr(wiring.jobs, "delete", broken)
        assert run(["delete", cancelled, "--yes"]) == 1
    assert f"job {cancelled} could not be removed as a whole: RuntimeError: odd" in capsys.readouterr().err
    assert run(["job", cancelled]) == 0
    assert "RuntimeError: odd" in capsys.readouterr().out
    assert run(["delete", cancelled, "--yes"]) == 0


def test_a_dispatcher_of_all_jobs_removes_what_it_is_asked_to(wiring: Wiring) -> None:
    names = [task.name for task in wiring.dispatcher(ThreadRunner(lambda lease: []), FixedModels())._maintenance]
    assert "deletion" in names
    only = wiring.dispatcher(ThreadRunner(lambda lease: []), FixedModels(), only_job=JobId("x"))
    assert "deletion" not in [task.name for task in only._maintenance]
