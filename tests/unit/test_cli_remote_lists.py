"""`nclscreen --api URL jobs` and `flagged` say what `jobs` and `flagged` say of this machine's own database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.builders import entry, new_job, ready_job, scored
from support.page_server import Site, site_with
from support.screened_jobs import MODEL, Shot

from jobs.domain import JobId, JobOptions, ModelRef
from jobs.shards.work_queue import WorkQueue
from nclscreen.cli.app import run
from nclscreen.services.job_view import NOBODY
from nclscreen.wiring import wire

OTHER = ModelRef(name="other 2", fingerprint="cd" * 32)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_with(tmp_path / "site", [Shot(key="a.jpg", score=0.72849), Shot(key="b.jpg", score=0.6)]) as found:
        yield found


def flagged_by_another_model(site: Site) -> JobId:
    images = [entry("other.jpg")]
    job_id = ready_job(site.wiring.engine, images, model=OTHER)
    queue = WorkQueue(site.wiring.engine, "tests")
    (lease,) = queue.claim(1, 60, fingerprints=[OTHER.fingerprint], job_id=job_id)
    queue.finish(lease, [replace(scored(0, images[0], 0.7), fingerprint=OTHER.fingerprint)])
    site.wiring.jobs.complete(job_id)
    return job_id


def told(capsys: pytest.CaptureFixture[str], *said: str) -> tuple[list[str], str]:
    """The lines of an answer, and what is said beside it."""
    capsys.readouterr()
    assert run(list(said)) == 0, said
    shown = capsys.readouterr()
    return shown.out.splitlines(), shown.err


def test_scores_of_two_models_do_not_meet_without_a_word(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    lines, beside = told(capsys, "--api", site.url, "flagged")
    assert lines[0].split() == ["score", "area", "review", "image", "where"]
    assert beside == ""
    other = flagged_by_another_model(site)
    lines, beside = told(capsys, "--api", site.url, "flagged")
    assert beside.startswith("note: scores of 2 models in one list, which do not compare: ")
    for model in (MODEL, OTHER):
        assert f"{model.name} ({model.fingerprint[:12]})" in beside
    assert lines[0].split() == ["score", "area", "review", "image", "model", "where"]
    models = [MODEL.name in line and OTHER.name not in line for line in lines[1:]]
    assert models == [True, False, True], "highest score first, each line with its model"
    _, beside = told(capsys, "--api", site.url, "flagged", "--json")
    assert "which do not compare" in beside
    for alone in (["--model", "other 2"], ["--model", OTHER.fingerprint[:8]], ["--job", other], ["--prefix", "other"]):
        lines, beside = told(capsys, "--api", site.url, "flagged", *alone, "--json")
        assert [image["model"] for image in json.loads("\n".join(lines))["images"]] == ["other 2"]
        assert beside == ""


def test_where_nothing_is_like_that_it_is_said(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    lines, beside = told(capsys, "--api", site.url, "flagged", "--model", "tiny")
    assert (lines, beside.startswith("no flagged image is like that")) == ([], True)
    lines, beside = told(capsys, "--api", site.url, "flagged", "--model", "tiny", "--json")
    assert (json.loads("\n".join(lines)), beside) == ({"images": []}, "")
    lines, beside = told(capsys, "--api", site.url, "jobs", "--tag", "none")
    assert (lines, beside.startswith("no job is like that")) == ([], True)


def test_both_lists_are_the_same_ones(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = site.wiring.jobs.submit(new_job(model=OTHER, options=JobOptions(name="claim 17", tags=("flood", "x"))))
    far_jobs, _ = told(capsys, "--api", site.url, "jobs")
    far_images, _ = told(capsys, "--api", site.url, "flagged")
    shown, _ = told(capsys, "--api", site.url, "job", waiting)
    columns = "job state waits images flagged failed submitted finished model name tags source"
    assert far_jobs[0].split() == columns.split()
    assert far_jobs[1].startswith(waiting)
    for text in (NOBODY, "other 2", "claim 17", "flood, x"):
        assert text in far_jobs[1]
    assert [line for line in shown if line.startswith("waits")] == [f"waits      {NOBODY}"]

    assert site.wiring.settings.database_url is not None
    monkeypatch.setenv("NCLSCREEN_DATABASE_URL", site.wiring.settings.database_url)
    wire.cache_clear()
    try:
        assert told(capsys, "jobs")[0] == far_jobs
        near_images, _ = told(capsys, "flagged")
    finally:
        wire().engine.dispose()
        wire.cache_clear()
    scores_and_areas = [line.split()[:2] for line in near_images[1:]]
    assert [score for score, _ in scores_and_areas] == ["0.729", "0.600"]
    assert [line.split()[:2] for line in far_images[1:]] == scores_and_areas
