"""Pages of models, runs, schedules and keys: what they say, what their buttons do, and for whom they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from support.screened_jobs import ScreenedJob
from support.tiny_model import save_tiny_model
from support.training_material import write_source

from jobs.domain.access import DEFAULT_PROJECT, Scope
from jobs.domain.schedules import ScheduleKind
from nclscreen.services.models import register
from nclscreen.services.retrain_request import RetrainRequest
from nclscreen.services.scheduling import add_schedule, retrain
from nclscreen.wiring import Wiring


@pytest.fixture
def other(wiring: Wiring, tmp_path: Path) -> str:
    return register(wiring, save_tiny_model(tmp_path / "other.safetensors", seed=5)).fingerprint


def test_a_version_is_promoted_and_rolled_back_by_buttons(client: TestClient, wiring: Wiring, other: str) -> None:
    assert other[:12] in client.get("/models").text
    done = client.post(f"/models/{other}/promote", data={"reason": "<b>better</b>"}, follow_redirects=False)
    assert (done.status_code, done.headers["location"]) == (303, "/models")
    assert wiring.current_model.fingerprint == other
    shown = client.get("/models").text
    assert "&lt;b&gt;better" in shown
    assert "Roll back" in shown
    client.post("/models/champion/rollback", data={"reason": ""})
    assert wiring.current_model.fingerprint == wiring.model.fingerprint
    assert client.post("/models/nothing/promote", data={}).status_code == 404


def test_runs_and_schedules_are_shown_and_steered(client: TestClient, wiring: Wiring, tmp_path: Path) -> None:
    run = retrain(wiring, RetrainRequest(data=(str(write_source(tmp_path / "base")),), steps=3))
    add_schedule(wiring, name="<nightly>", kind=ScheduleKind.SCREEN, cron="0 3 * * *", request={"source": "s3://a"})
    shown = client.get("/models").text
    assert "&lt;nightly&gt;" in shown
    assert f"/runs/{run.id}" in shown
    assert "queued" in client.get(f"/runs/{run.id}").text
    client.post(f"/runs/{run.id}/cancel")
    assert wiring.runs.get(run.id).cancelled
    schedule = wiring.schedules.all()[0]
    client.post(f"/schedules/{schedule.id}/pause")
    assert wiring.schedules.get(schedule.id).paused
    client.post(f"/schedules/{schedule.id}/resume")
    client.post(f"/schedules/{schedule.id}/run")
    assert not wiring.schedules.get(schedule.id).paused
    assert len(wiring.schedules.ticks(schedule.id)) == 1
    assert client.get("/runs/nobody").status_code == 404


def test_a_key_is_shown_once(client: TestClient, wiring: Wiring) -> None:
    made = client.post("/keys", data={"name": "ann<b>", "scopes": ["admin", "read"], "lifetime": "2w"})
    assert made.status_code == 200, made.text
    assert made.headers["cache-control"] == "no-store"
    found = re.search(r"ncl_[0-9a-f_]+", made.text)
    assert found
    assert wiring.keys.caller(found[0]).name == "ann<b>"
    ann = {"Authorization": f"Bearer {found[0]}"}
    again = client.get("/keys", headers=ann).text
    assert found[0] not in again
    assert "ann&lt;b&gt;" in again
    client.post(f"/keys/{found[0].split('_')[1]}/revoke", headers=ann)
    assert not wiring.keys.any_in_use()
    for data in (
        {"name": "x"},
        {"name": " ", "scopes": ["read"]},
        {"name": "x", "scopes": ["read"], "lifetime": "soon"},
    ):
        assert client.post("/keys", data=data).status_code == 422, data


def test_they_are_for_those_who_may(client: TestClient, wiring: Wiring, other: str) -> None:
    wiring.projects.create("lab")
    _, lab = wiring.keys.create(wiring.projects.get("lab").name, "bob", [Scope.ADMIN])
    _, reader = wiring.keys.create(DEFAULT_PROJECT, "eve", [Scope.READ])
    for text, refused in ((lab, ["/models"]), (reader, ["/keys"])):
        headers = {"Authorization": f"Bearer {text.text}"}
        for path in refused:
            assert client.get(path, headers=headers).status_code == 403, path
        assert client.post(f"/models/{other}/promote", data={}, headers=headers).status_code == 403
    bob = {"Authorization": f"Bearer {lab.text}"}
    assert "eve" not in client.get("/keys", headers=bob).text, "another project's"
    assert "Models" not in client.get("/jobs", headers=bob).text


def test_a_picture_that_cannot_be_shown_says_so_as_a_picture(screened: ScreenedJob, client: TestClient) -> None:
    place = f"/v1/jobs/{screened.job.id}/verdicts"
    gone = client.get(f"{place}/3/thumbnail", headers={"Accept": "image/avif,image/webp,*/*;q=0.8"})
    assert gone.status_code >= 400
    assert gone.headers["content-type"] == "image/svg+xml"
    assert "<svg" in gone.text
    assert client.get(f"{place}/3/thumbnail").headers["content-type"] == "application/problem+json"
