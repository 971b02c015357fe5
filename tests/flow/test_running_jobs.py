"""A running job through the command line: paused, resumed, prioritized, told of, reported, tried again."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.flow_program import Program, processes_of, wait_until
from support.odd_images import encoded, photo
from support.reporting import read_report
from support.servers.webhook_receiver import WebhookReceiver

from jobs.lifecycle.job_store import JobStore
from jobs.sql.database import create_database_engine
from jobs.storage import S3Options, open_storage

pytestmark = pytest.mark.cluster

IMAGES = 240
BROKEN = 3
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    server = WebhookReceiver()
    yield server
    server.close()


def _write(folder: Path, count: int, *, side: int, broken: int) -> None:
    folder.mkdir()
    for number in range(count):
        data = b"no photograph" if number < broken else encoded(photo(side, side, seed=number), "JPEG")
        (folder / f"{number:04d}.jpg").write_bytes(data)


def _types(receiver: WebhookReceiver, job_id: str) -> list[str]:
    heard = [json.loads(each.body) for each in receiver.heard]
    return [message["type"] for message in heard if message["data"]["id"] == job_id]


def _pause_in_the_middle(program: Program, job_id: str) -> None:
    """At the first verdicts, from within this process: a program of its own takes seconds to start."""
    engine = create_database_engine(f"sqlite:///{program.env['NCLSCREEN_HOME']}/nclscreen.sqlite")
    store = JobStore(engine)
    deadline = time.monotonic() + 200
    while store.get(job_id).counts.done == 0:
        assert time.monotonic() < deadline, "no verdict came"
        time.sleep(0.05)
    store.pause(job_id)
    engine.dispose()


def test_a_job_is_paused_resumed_told_of_reported_and_its_failures_are_tried_again(
    program: Program, receiver: WebhookReceiver, tmp_path: Path
) -> None:
    photos, reports = tmp_path / "photos", tmp_path / "reports"
    _write(photos, IMAGES, side=400, broken=BROKEN)
    program.env["NCLSCREEN_WEBHOOK_SECRET"] = SECRET
    up = program.start("up")
    submitted = program("submit", str(photos), "--webhook", receiver.url, "--completion-report", str(reports))
    job_id = submitted.stdout.strip()
    assert submitted.returncode == 0, submitted.stderr
    (tmp_path / "empty").mkdir()
    short_lived = program("submit", str(tmp_path / "empty")).stdout.strip()

    def now() -> dict[str, object]:
        return dict(program.json("job", job_id))

    _pause_in_the_middle(program, job_id)
    assert program.json("pause", job_id)["state"] in ("pausing", "paused")
    wait_until(lambda: now()["state"] == "paused", "the job is paused")
    assert program.json("prioritize", job_id, "5")["priority"] == 5
    held = now()
    watching = program.start("watch", job_id, "--json")
    assert watching.stderr is not None
    assert watching.stderr.readline() == f"the job was paused; it goes on after: nclscreen resume {job_id}\n"
    assert now()["counts"] == held["counts"]
    assert program.json("resume", job_id)["state"] == "running"
    out, err = watching.communicate(timeout=120)
    assert watching.returncode == 0, err
    done = json.loads(out)
    assert (done["state"], done["counts"]["total"], done["counts"]["failed"]) == ("completed", IMAGES, BROKEN)

    report = read_report(open_storage(reports.as_uri(), S3Options()), f"job-{job_id}/manifest.json")
    assert done["report_uri"] == (reports / f"job-{job_id}" / "manifest.json").as_uri()
    assert [row[1] for row in report.failed] == [f"{number:04d}.jpg" for number in range(BROKEN)]
    assert len(report.succeeded) == IMAGES - BROKEN
    wait_until(lambda: "job.completed" in _types(receiver, job_id), "the last message")
    assert _types(receiver, job_id) == [
        "job.ready", "job.running", "job.pausing", "job.paused", "job.running", "job.completing", "job.completed",
    ]  # fmt: skip

    (photos / "0001.jpg").write_bytes(encoded(photo(64, 64, seed=1), "JPEG"))
    code = program.json("job", job_id)["error_codes"].popitem()[0]
    retried = program("retry", job_id, "--code", code)
    assert retried.returncode == 0, retried.stderr
    again = program.json("watch", retried.stdout.strip())
    assert again["counts"]["total"] == BROKEN
    assert again["counts"]["failed"] == BROKEN - 1, "two of three fail again, and a retry never gives up for that"
    assert (again["state"], again["retry_of"]) == ("completed", job_id)
    refused = program("pause", job_id)
    assert refused.returncode == 1
    assert "which is completed: it is over" in refused.stderr

    os.killpg(up.pid, signal.SIGTERM)
    _, err = up.communicate(timeout=60)
    assert up.returncode == 0, err
    assert "Traceback" not in err
    assert f"job {short_lived} failed: 0/0 images, 0 flagged: no images found" in err
    assert processes_of(program) == []


def test_screen_ends_when_the_report_is_there_and_the_end_was_told(
    program: Program, receiver: WebhookReceiver, tmp_path: Path
) -> None:
    _write(tmp_path / "photos", 6, side=64, broken=4)
    options = ["--completion-report", str(tmp_path / "reports"), "--webhook", receiver.url]
    job = program.json("screen", str(tmp_path / "photos"), *options, code=1, NCLSCREEN_WEBHOOK_SECRET=SECRET)
    assert job["state"] == "failed"
    assert Path(job["report_uri"].removeprefix("file://")).exists()
    assert _types(receiver, job["id"])[-1] == "job.failed"
    assert program.json("job", job["id"])["webhook"]["waiting"] == 0
