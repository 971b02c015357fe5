"""`rescreen` from the command line: the same images, another model, and what becomes of the threshold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.builders import scored_job
from support.tiny_model import save_tiny_model

from jobs.domain import JobId, RetryImages
from nclscreen.cli.app import run
from nclscreen.wiring import Wiring, wire


@pytest.fixture
def job(wiring: Wiring) -> JobId:
    """Scores .2, .4, .6, .8, flagged from .5 on, by a model that is not installed here."""
    found = scored_job(wiring.engine, [0.2, 0.4, 0.6, 0.8])
    wiring.jobs.complete(found)
    return found


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NCLSCREEN_WEIGHTS", str(save_tiny_model(tmp_path / "tiny.safetensors")))


def test_the_id_of_a_job_of_the_same_images_is_printed(job: JobId, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rescreen", job]) == 0
    said = capsys.readouterr()
    made = wire().jobs.get(said.out.strip())
    assert f"4 images of job {job} again" in said.err
    assert (made.options.retry_of, made.options.retry_images) == (job, RetryImages.ALL)
    assert made.model == wire().model.ref
    assert made.threshold == wire().model.threshold()  # a bare score of another model says nothing
    assert made.options.name == f"rescreen of {job}"


def test_flagged_ones_alone_and_another_threshold(job: JobId, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rescreen", job, "--images", "flagged", "--threshold", "0.7", "--name", "twice", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["images"], document["threshold"], document["name"]) == (2, 0.7, "twice")
    assert (document["retry_of"], document["retry_images"]) == (job, "flagged")


def test_nothing_to_screen_and_failed_images_are_told(job: JobId, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rescreen", job, "--images", "reviewed"]) == 0
    assert "has no such image" in capsys.readouterr().err
    assert run(["rescreen", job, "--images", "failed"]) == 2
    assert "nclscreen retry" in capsys.readouterr().err
    assert run(["rescreen", "0000000000000000"]) == 1


def test_the_same_model_takes_verdicts_over_and_says_so(job: JobId, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rescreen", job]) == 0
    first = capsys.readouterr().out.strip()
    store = wire().jobs
    store.cancel(first)
    # nothing of it was screened, so its images are none
    assert run(["rescreen", first]) == 0
    assert "has no such image" in capsys.readouterr().err


def test_what_it_changed_is_told(job: JobId, wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    other = scored_job(wiring.engine, [0.9, 0.1, 0.1, 0.1])
    wiring.jobs.complete(other)
    assert run(["changes", other, "--against", job]) == 0
    said = capsys.readouterr().out
    assert "flagged now    1 of 4 with a score in both" in said
    assert "not any more   2 of 4" in said
    assert f"+ 0.900  {other}/0" in said
    assert said.count("- 0.100") == 2
    assert run(["changes", other, "--against", job, "--json", "--limit", "1"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["compared"], document["flagged"], document["cleared"]) == (4, 1, 2)
    assert [each["key"] for each in document["images_cleared"]] == ["2.jpg"]
    assert run(["changes", other]) == 2
    assert "against which job" in capsys.readouterr().err
    assert run(["changes", other, "--against", other]) == 2


def test_a_version_and_a_sample(job: JobId, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["rescreen", job, "--model", "nobody's"]) != 0
    assert "nobody" in capsys.readouterr().err
    assert run(["rescreen", job, "--sample", "2", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["images"], document["filters"]["sample"]) == (2, 2)
