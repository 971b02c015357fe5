"""`second-looks`, and `review --blind`."""

from __future__ import annotations

import json

import pytest
from support.builders import scored_job

from jobs.domain import JobId
from nclscreen.cli.app import run
from nclscreen.wiring import Wiring


@pytest.fixture
def job(wiring: Wiring) -> JobId:
    return scored_job(wiring.engine, [0.4, 0.5, 0.6])


def test_two_decide_and_their_agreement_is_shown(job: JobId, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["second-looks", job, "--share", "1"]) == 0
    assert "100 % of the reviewed images" in capsys.readouterr().out
    for ordinal, first, second in (
        (0, "confirmed", "confirmed"),
        (1, "rejected", "confirmed"),
        (2, "rejected", "rejected"),
    ):
        assert run(["review", f"{job}/{ordinal}", first, "--reviewer", "ann"]) == 0
        assert run(["review", f"{job}/{ordinal}", second, "--reviewer", "ann", "--blind"]) == 1
        assert run(["review", f"{job}/{ordinal}", second, "--reviewer", "bob", "--blind"]) == 0
    capsys.readouterr()
    assert run(["second-looks", job]) == 0
    shown = capsys.readouterr().out
    assert "Cohen's kappa 0.400; the same of 2 of 3 images" in shown
    assert f"conflict  {job}/1  1.jpg" in shown
    assert run(["second-looks", job, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["agreed"], found["conflict"], found["kappa"]) == (2, 1, 0.4)
    for said in (["second-looks", job, "--share", "2"], ["review", f"{job}/1", "--blind"]):
        assert run(said) == 2
