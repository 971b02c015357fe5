"""Jobs that wait for a person: what is shown of them, the question, and how long they would take."""

from __future__ import annotations

import json

import pytest
import typer
from sqlalchemy import update
from support.builders import entries, ready_job

from jobs.domain import JobId
from jobs.domain.states import JobState
from jobs.sql.database import writing
from jobs.sql.tables import jobs
from nclscreen.cli import confirming
from nclscreen.cli.app import run
from nclscreen.cli.run_view import run_job
from nclscreen.wiring import Wiring

pytestmark = pytest.mark.usefixtures("photos")


def test_screen_with_confirm_and_no_terminal_ends_with_the_job_waiting(
    wiring: Wiring, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["screen", "photos", "--confirm", "--min-size", "5KB"]) == 1
    said = capsys.readouterr().err.replace("\n", " ")
    job = wiring.jobs.latest()[0]
    assert job.state is JobState.AWAITING_CONFIRMATION
    assert f"job {job.id}: 8 images, 68.0 KB (4 files ignored)" in said
    assert "how long it takes is not known" in said
    assert f"let it go with 'nclscreen confirm {job.id}'" in said
    assert run(["confirm", job.id, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["state"], document["estimate"]["seconds"]) == ("ready", None)
    assert run(["confirm", job.id]) == 0  # again: nothing changes
    assert capsys.readouterr().out == f"job {job.id} is ready\n"
    assert run(["cancel", job.id]) == 0
    assert run(["confirm", job.id]) == 1
    refused = f"job {job.id} is cancelled; only a job that is awaiting_confirmation can be confirmed"
    assert refused in capsys.readouterr().err


@pytest.mark.parametrize("answer", [True, False])
def test_on_a_terminal_the_question_is_asked(wiring: Wiring, monkeypatch: pytest.MonkeyPatch, answer: bool) -> None:
    assert run(["submit", "photos", "--confirm"]) == 0
    job_id = wiring.jobs.latest()[0].id
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(confirming.output.err, "_force_terminal", True)
    monkeypatch.setattr(typer, "confirm", lambda *words, **how: answer)
    monkeypatch.setattr("nclscreen.services.running.running_session", _refused)
    if answer:
        with pytest.raises(RuntimeError, match="started"):
            run_job(wiring, job_id)
    else:
        run_job(wiring, job_id)
    state = wiring.jobs.get(job_id).state
    assert state is (JobState.READY if answer else JobState.AWAITING_CONFIRMATION)


def test_yes_needs_no_terminal(wiring: Wiring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nclscreen.services.running.running_session", _refused)
    with pytest.raises(RuntimeError, match="started"):
        run(["screen", "photos", "--confirm", "--yes"])
    assert wiring.jobs.latest()[0].state is JobState.READY


def _refused(*arguments: object, **named: object) -> None:
    raise RuntimeError("started")


def test_the_estimate_comes_from_completed_jobs_with_this_model(wiring: Wiring) -> None:
    fingerprint = wiring.model.fingerprint
    assert wiring.jobs.recent_speed(fingerprint) is None
    ids = [_completed(wiring, scored, 10.0) for scored in (10, 40, 20, 30, 60, 50)]
    _completed(wiring, 1000, 1.0, fingerprint="cd" * 32)
    _completed(wiring, 1000, 1.0, state=JobState.CANCELLED)
    speed = wiring.jobs.recent_speed(fingerprint)
    assert speed is not None
    assert speed.images_per_s == pytest.approx(4.0)  # the median of the last five
    assert speed.job_ids == tuple(ids[:0:-1])
    waiting = wiring.jobs.get(ready_job(wiring.engine, entries(100)))
    lines = confirming.summary(waiting, speed)
    assert lines == [
        f"job {waiting.id}: 100 images, 0 bytes",
        "about 25 s, at 4.0 images/s as in the last 5 jobs with this model",
    ]


_finished = iter(range(1000, 10_000))


def _completed(
    wiring: Wiring, scored: int, seconds: float, fingerprint: str = "", state: JobState = JobState.COMPLETED
) -> JobId:
    job_id = ready_job(wiring.engine, entries(1))
    end = float(next(_finished))
    with writing(wiring.engine) as connection:
        connection.execute(
            update(jobs)
            .where(jobs.c.id == job_id)
            .values(
                state=state.value,
                model_fingerprint=fingerprint or wiring.model.fingerprint,
                scored=scored,
                started_at=end - seconds,
                finished_at=end,
            )
        )
    return job_id
