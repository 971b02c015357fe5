"""`audit`: a sample is drawn and shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.builders import scored_job

from jobs.domain import JobId
from nclscreen.cli.app import run
from nclscreen.wiring import Wiring


@pytest.fixture
def job(wiring: Wiring) -> JobId:
    return scored_job(wiring.engine, [i / 20 for i in range(20)])


def document(capsys: pytest.CaptureFixture[str], *said: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run([*said, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_a_sample_is_drawn_and_shown(wiring: Wiring, job: JobId, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", job, "--size", "12"]) == 1
    assert "wait until it is over" in " ".join(capsys.readouterr().err.split())
    wiring.jobs.complete(job)
    assert run(["audit", job]) == 1
    assert "draw a sample" in capsys.readouterr().err
    found = document(capsys, "audit", job, "--size", "12", "--seed", "2")
    assert (found["audit"], found["drawn"], found["unreviewed"]) == (1, 12, 12)
    assert run(["audit", job, "--left"]) == 0
    left = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert len(set(left)) == 12
    assert run(["review", left[0], "rejected"]) == 0
    found = document(capsys, "audit", job, "--left")
    assert ([each["ref"] for each in found["images"]], found["unreviewed"]) == (left[1:], 11)
    assert run(["review", left[0], "--undo"]) == 0
    for verdict in wiring.verdicts.of_job(job):
        decision = "confirmed" if verdict.verdict.ordinal > 8 else "rejected"
        assert run(["review", str(verdict.ref), decision]) == 0
    assert run(["audit", job]) == 0
    shown = capsys.readouterr()
    assert "flagged high" in shown.out
    assert "100.0 %" in shown.out
    assert "of all tampered images were missed" in shown.out
    assert "0 of 12 drawn images are still unreviewed" in shown.err
    found = document(capsys, "audit", job, "--number", "1")
    assert found["precision"]["value"] == 1
    assert 0 < found["precision"]["low"] < 1
    for said in (["--size", "9"], ["--size", "12", "--number", "1"], ["--number", "0"]):
        assert run(["audit", job, *said]) == 2
    assert run(["audit", job, "--number", "7"]) == 1
