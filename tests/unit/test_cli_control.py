"""`pause`, `resume`, `prioritize`, `cancel` from the command line, on a database of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.builders import FINGERPRINT, entries, new_job, ready_job, results_of, unreadable
from support.tiny_model import save_tiny_model

from jobs.domain import JobId, JobOptions
from jobs.domain.states import JobState
from jobs.errors import ErrorCode
from jobs.registry.dispatchers import ShardBudget
from jobs.registry.hosted_models import HostedModel, HostingState
from jobs.shards.work_queue import WorkQueue
from nclscreen.cli import progress
from nclscreen.cli.app import run
from nclscreen.cli.progress import follow
from nclscreen.wiring import Wiring, wire


@pytest.fixture
def job_id(wiring: Wiring) -> JobId:
    return ready_job(wiring.engine, entries(4))


def test_pause_and_resume(job_id: JobId, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pause", job_id]) == 0
    assert capsys.readouterr().out == f"job {job_id} is paused; go on with: nclscreen resume {job_id}\n"
    assert run(["resume", job_id, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "running"


def test_a_priority_is_shown_from_then_on(job_id: JobId, wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prioritize", job_id, "7"]) == 0
    assert capsys.readouterr().out == f"job {job_id} has priority 7\n"
    assert run(["prioritize", job_id, "-3"]) == 0
    assert wiring.jobs.get(job_id).options.priority == -3
    assert run(["prioritize", job_id, "--", "-4"]) == 0
    assert wiring.jobs.get(job_id).options.priority == -4
    assert run(["prioritize", job_id, "5", "--jsn"]) == 2
    assert run(["prioritize", job_id, "1000001"]) == 2
    assert run(["prioritize", job_id, "soon"]) == 2


@pytest.mark.parametrize("command", ["jobs", "flagged"])
def test_no_more_rows_than_a_database_can_count(job_id: JobId, command: str) -> None:
    assert run([command, "--limit", str(2**63)]) == 2
    assert run([command, "--limit", "1000000000"]) == 0


def test_what_makes_no_sense_is_refused(job_id: JobId, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cancel", job_id]) == 0
    assert capsys.readouterr().out == f"job {job_id} is cancelled\n"
    for command in (["pause", job_id], ["resume", job_id], ["prioritize", job_id, "1"]):
        assert run(command) == 1
        assert capsys.readouterr().err == f"error: cannot {command[0]} job {job_id}, which is cancelled: it is over\n"
    assert run(["pause", "nobody"]) == 1
    assert "there is no job 'nobody'" in capsys.readouterr().err


def test_who_follows_a_paused_job_is_told_so_once_for_each_pause(
    job_id: JobId, wiring: Wiring, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_LOOK_S", 0.0)
    steps = iter([wiring.jobs.pause, wiring.jobs.get, wiring.jobs.resume, wiring.jobs.pause, wiring.jobs.cancel])

    def alive() -> None:
        next(steps)(job_id)

    assert follow(wiring.jobs, job_id, alive).state is JobState.CANCELLED
    notice = f"the job was paused; it goes on after: nclscreen resume {job_id}\n"
    assert capsys.readouterr().err == 2 * notice


def test_what_a_job_waits_for_is_shown_with_it_and_to_who_watches(
    job_id: JobId, wiring: Wiring, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_ALONE_S", 0.0)
    queue = WorkQueue(wiring.engine, "tests")
    (lease,) = queue.claim(1, 60, fingerprints=[FINGERPRINT])
    queue.release(lease, "s3://photos: 8 of 8 images could not be read: \x1b[2J refused")
    attendance = progress.Attendance(wiring.jobs, job_id)
    for _ in range(3):
        attendance()
    said = capsys.readouterr().err
    assert said.replace("\n", " ").count("nobody works on this job now, it waits: s3://photos: 8 of 8 images") == 1
    assert "\x1b" not in said
    assert run(["job", job_id]) == 0
    assert "waits      s3://photos: 8 of 8 images could not be read" in capsys.readouterr().out
    assert run(["job", job_id, "--json"]) == 0
    assert "8 of 8 images" in json.loads(capsys.readouterr().out)["waits_for"]


def test_who_follows_a_job_hears_when_it_goes_on_more_slowly_and_when_that_is_over(
    job_id: JobId, wiring: Wiring, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_LOOK_S", 0.0)
    monkeypatch.setattr(progress, "_SLOWNESS_EVERY_S", 0.0)
    budget = ShardBudget(at_once=1, usual=2)
    steps = iter([None, budget, budget, None, None])
    monkeypatch.setattr(progress, "_ALONE_S", 60.0)

    def pause(seconds: float) -> None:
        try:
            wiring.dispatchers.seen("one", None, next(steps))
        except StopIteration:
            wiring.jobs.cancel(job_id)

    monkeypatch.setattr(progress.time, "sleep", pause)
    assert run(["watch", job_id]) == 1
    said = capsys.readouterr()
    assert said.err.splitlines()[:2] == [str(budget), "all shards at once again"]
    assert said.err.count("shards at once") == 2


def test_what_preparing_waits_for_is_shown_until_it_goes_on(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    job_id = wiring.jobs.submit(new_job())
    preparation = wiring.jobs.claim_preparation(60)
    assert preparation is not None
    wiring.jobs.rest_preparation(preparation, 0, "s3://photos: \x1b[2J503 Slow Down")
    line = progress.progress_line(wiring.jobs.get(job_id), None)
    assert line.startswith("preparing: 0 images found, 0 objects looked at; it waits: s3://photos: ")
    assert "\x1b" not in line
    assert run(["job", job_id]) == 0
    assert "503 Slow Down" in capsys.readouterr().out
    assert run(["job", job_id, "--json"]) == 0
    assert "503 Slow Down" in json.loads(capsys.readouterr().out)["waits_for"]
    assert wiring.jobs.claim_preparation(60) is not None
    assert wiring.jobs.get(job_id).preparation_error is None


# -- retry


@pytest.fixture
def failed_job(wiring: Wiring) -> JobId:
    return job_with_a_failure(wiring)


def job_with_a_failure(wiring: Wiring, **fields: object) -> JobId:
    """Four images, of which the first could not be read."""
    job_id = ready_job(wiring.engine, entries(4), **fields)  # type: ignore[arg-type]
    queue = WorkQueue(wiring.engine, "tests")
    (lease,) = queue.claim(1, 60, fingerprints=[FINGERPRINT])
    queue.finish(lease, [unreadable(0, lease.entries[0], ErrorCode.TIMEOUT), *results_of(lease)[1:]])
    wiring.jobs.complete(job_id)
    return job_id


def test_a_retry_prints_the_id_of_the_new_job(
    failed_job: JobId, wiring: Wiring, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["retry", failed_job, "--code", "timeout"]) == 0
    printed = capsys.readouterr()
    made = wiring.jobs.get(printed.out.strip())
    assert (made.options.retry_of, made.options.retry_codes) == (failed_job, (ErrorCode.TIMEOUT,))
    assert f"1 image of job {failed_job} again; follow it with: nclscreen watch {made.id}" in printed.err
    assert run(["retry", failed_job, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["state"], document["retry_of"], document["images"]) == ("preparing", failed_job, 1)


def test_a_retry_of_nothing_says_so_and_makes_no_job(
    failed_job: JobId, wiring: Wiring, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["retry", failed_job, "--code", "empty"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"nothing to retry: no image of job {failed_job} failed with empty\n"
    assert run(["retry", failed_job, "--code", "empty", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] is None
    assert len(wiring.jobs.latest()) == 1
    assert run(["retry", failed_job, "--code", "nonsense"]) == 2


def test_a_retry_with_another_model_keeps_the_threshold_or_finds_the_one_of_the_same_rate_anew(
    failed_job: JobId, wiring: Wiring, capsys: pytest.CaptureFixture[str]
) -> None:
    promised = job_with_a_failure(wiring, policy={"max_fpr": 0.05, "threshold": 0.5})
    policy = wiring.model.policy(0.05)
    assert policy.threshold != 0.5
    for job_id, threshold, max_fpr in [(failed_job, 0.5, None), (promised, policy.threshold, 0.05)]:
        assert run(["retry", job_id, "--current-model"]) == 0
        made = wiring.jobs.get(capsys.readouterr().out.strip())
        assert made.model == wiring.model.ref != wiring.jobs.get(job_id).model
        assert made.threshold == threshold
        assert (made.policy and made.policy["max_fpr"]) == max_fpr


def test_a_retry_with_a_model_that_cannot_promise_the_rate_is_refused(
    wiring: Wiring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    promised = job_with_a_failure(wiring, policy={"max_fpr": 0.05, "threshold": 0.5})
    monkeypatch.setenv("NCLSCREEN_WEIGHTS", str(save_tiny_model(tmp_path / "tiny.safetensors")))
    wire.cache_clear()
    assert run(["retry", promised, "--current-model"]) == 1
    assert "give --threshold" in capsys.readouterr().err
    assert len(wiring.jobs.latest()) == 1
    assert run(["retry", promised, "--current-model", "--threshold", "0.25"]) == 0
    made = wiring.jobs.get(capsys.readouterr().out.strip())
    assert (made.threshold, made.policy) == (0.25, None)
    assert run(["retry", promised, "--threshold", "0.75"]) == 0
    made = wiring.jobs.get(capsys.readouterr().out.strip())
    assert (made.threshold, made.policy, made.model) == (0.75, None, wiring.jobs.get(promised).model)


def test_a_retry_of_a_job_that_is_not_over_is_refused(job_id: JobId, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["retry", job_id]) == 1
    assert "which is ready: its verdicts are known when it is over" in capsys.readouterr().err


# -- webhooks, as a submitter meets them


def test_a_receiver_that_is_not_listed_is_refused_and_a_missing_secret_is_told(
    wiring: Wiring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NCLSCREEN_WEIGHTS", str(save_tiny_model(tmp_path / "tiny.safetensors")))
    photos = tmp_path / "photos"
    photos.mkdir()
    wire.cache_clear()
    assert run(["submit", str(photos), "--webhook", "https://desk.example.org/x"]) == 0
    assert "note: NCLSCREEN_WEBHOOK_SECRET is not set here" in capsys.readouterr().err
    wire().engine.dispose()
    monkeypatch.setenv("NCLSCREEN_WEBHOOK_HOSTS", "hooks.example.org")
    wire.cache_clear()
    assert run(["submit", str(photos), "--webhook", "https://desk.example.org/x"]) == 2
    assert "the host desk.example.org is not one of NCLSCREEN_WEBHOOK_HOSTS" in capsys.readouterr().err
    assert len(wiring.jobs.latest()) == 1


def test_how_webhooks_fared_is_shown_with_the_job(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    told = JobOptions(webhook="https://desk.example.org/x")
    job_id = ready_job(wiring.engine, entries(4), options=told)
    assert run(["job", job_id]) == 0
    assert "webhook    0 delivered, 1 waiting, 0 given up\n" in capsys.readouterr().out
    (delivery,) = wiring.webhooks.claim(1, 60)
    wiring.webhooks.failed(delivery, "answered\x1b[31m 410", for_good=True)
    assert run(["job", job_id, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["webhook"]
    assert (shown["given_up"], shown["waiting"]) == (1, 0)
    assert run(["job", job_id]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["jobs"], ["jobs", "--json"]])
def test_an_output_that_is_full_is_told(job_id: JobId, arguments: list[str]) -> None:
    program = [sys.executable, "-c", "from nclscreen.cli import main; main()", *arguments]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=100)
    assert done.returncode == 1
    assert done.stderr == "error: what was to be said or written could not be: No space left on device\n"


def test_a_job_whose_model_nobody_hosts_says_so_everywhere(
    wiring: Wiring, job_id: JobId, capsys: pytest.CaptureFixture[str]
) -> None:
    fingerprint = wiring.jobs.get(job_id).model.fingerprint
    refused = HostedModel(fingerprint=fingerprint, state=HostingState.REFUSED, note="no room \x1b for it")
    wiring.hosted_models.renew("c1", "a", [refused], 60)
    assert run(["job", job_id]) == 0
    assert "no room \\x1b for it" in capsys.readouterr().out
    assert run(["job", job_id, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["waits_for"] == "no room \x1b for it"
    assert run(["jobs"]) == 0
    assert "no room \\x1b for it" in capsys.readouterr().out
    assert run(["jobs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["jobs"][0]["model_waits_for"] == "no room \x1b for it"
    wiring.jobs.cancel(job_id)
    assert run(["jobs"]) == 0
    assert "no room" not in capsys.readouterr().out


def assert_runs(arguments: list[str]) -> None:
    assert run(arguments) == 0


def test_a_job_that_is_being_prepared_is_paused_and_resumed(
    wiring: Wiring, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_LOOK_S", 0.0)
    job_id = wiring.jobs.submit(new_job())
    assert run(["pause", job_id]) == 0
    assert capsys.readouterr().out == f"job {job_id} is paused; go on with: nclscreen resume {job_id}\n"
    steps = iter([["resume", job_id], ["cancel", job_id]])
    assert follow(wiring.jobs, job_id, lambda: assert_runs(next(steps))).state is JobState.CANCELLED
    said = capsys.readouterr()
    assert f"the job was paused; it goes on after: nclscreen resume {job_id}\n" in said.err
    assert f"job {job_id} is preparing\n" in said.out
