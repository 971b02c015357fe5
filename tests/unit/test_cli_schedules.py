"""`schedules`, `retrain`, `runs`, `run` on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.training_material import write_source

from jobs.domain.retraining import RunState
from nclscreen.cli.app import run
from nclscreen.wiring import Wiring


def document(capsys: pytest.CaptureFixture[str], *said: str) -> Any:
    capsys.readouterr()
    assert run([*said, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_schedule_is_made_explained_paused_and_removed(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    made = document(capsys, "schedules", "add", "nightly", "0 3 * * *", "--screen", "s3://a", "--zone", "Europe/Berlin")
    assert (made["kind"], len(made["next"])) == ("screen", 5)
    assert made["request"] == {"source": "s3://a"}
    assert run(["schedules", "list"]) == 0
    assert "Europe/Berlin" in capsys.readouterr().out
    assert run(["schedules", "run-now", "nightly"]) == 0
    found = document(capsys, "schedules", "explain", "nightly")
    assert [tick["state"] for tick in found["ticks"]] == ["waiting"]
    assert run(["schedules", "explain", made["id"]]) == 0
    assert "waiting" in capsys.readouterr().out
    assert document(capsys, "schedules", "pause", "nightly")["next"] == []
    assert len(document(capsys, "schedules", "resume", "nightly")["next"]) == 5
    assert run(["schedules", "remove", "nightly"]) == 0
    assert document(capsys, "schedules", "list") == []
    assert wiring.schedules.all() == []


def test_what_is_never_due_or_cannot_be_done_is_refused(
    wiring: Wiring, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    odd = tmp_path / "retrain.yaml"
    odd.write_text("data:\n  - nowhere\n", encoding="utf-8")
    unknown = tmp_path / "unknown.yaml"
    unknown.write_text("data:\n  - .\ncolour: red\n", encoding="utf-8")
    add = ["schedules", "add", "x"]
    for said, code, words in (
        ([*add, "0 3 * *", "--screen", "s3://a"], 2, "five fields"),
        ([*add, "0 0 31 2 *", "--screen", "s3://a"], 2, "no cron expression"),
        ([*add, "0 3 * * *", "--screen", "s3://a", "--zone", "Mars"], 2, "no time zone"),
        ([*add, "0 3 * * *"], 2, "--screen SOURCE or --retrain FILE"),
        ([*add, "0 3 * * *", "--retrain", str(odd)], 2, "nowhere is not there"),
        ([*add, "0 3 * * *", "--retrain", str(unknown)], 2, "is unknown"),
        ([*add, "0 3 * * *", "--screen", "s3://a", "--after-reviews", "3"], 2, "for retraining"),
        (["schedules", "pause", "nobody"], 1, "no schedule 'nobody'"),
        (["retrain", "--data", "nowhere"], 2, "nowhere is not there"),
        (["run", "nobody"], 1, "no run 'nobody'"),
    ):
        assert run(said) == code, (said, capsys.readouterr().err)
        assert words in " ".join(capsys.readouterr().err.split()), said
    assert wiring.schedules.all() == []
    assert wiring.runs.latest() == []


def test_a_run_is_asked_for_shown_and_cancelled(
    wiring: Wiring, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    data = write_source(tmp_path / "base")
    assert run(["retrain", "--data", str(data), "--steps", "3"]) == 0
    run_id = capsys.readouterr().out.strip()
    assert wiring.runs.get(run_id).state is RunState.QUEUED
    assert run(["runs"]) == 0
    assert run_id in capsys.readouterr().out
    assert document(capsys, "run", run_id)["request"]["steps"] == 3
    assert document(capsys, "run", run_id, "--cancel")["cancelled"] is True
    assert run(["run", run_id]) == 0
    assert "to be cancelled" in capsys.readouterr().out
