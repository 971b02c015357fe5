"""Schedules and runs over HTTP."""

from __future__ import annotations

from pathlib import Path

from starlette.testclient import TestClient
from support.training_material import write_source

from jobs.domain.access import DEFAULT_PROJECT, Scope
from nclscreen.wiring import Wiring


def test_a_schedule_over_http(client: TestClient) -> None:
    body = {"name": "nightly", "kind": "screen", "cron": "0 3 * * *", "request": {"source": "s3://a"}}
    made = client.post("/v1/schedules", json=body)
    assert made.status_code == 201, made.text
    assert len(made.json()["next"]) == 5
    assert client.post("/v1/schedules", json=body).status_code == 422, "the name is taken"
    assert client.post("/v1/schedules/nightly/run").status_code == 201
    found = client.get("/v1/schedules/nightly").json()
    assert [tick["state"] for tick in found["ticks"]] == ["waiting"]
    assert client.post("/v1/schedules/nightly/pause").json()["paused"] is True
    assert client.post("/v1/schedules/nightly/resume").json()["paused"] is False
    assert client.delete("/v1/schedules/nightly").status_code == 200
    assert client.get("/v1/schedules/nightly").json()["type"] == "urn:nclscreen:problem:schedule-not-found"
    assert client.get("/v1/schedules").json() == {"data": []}


def test_what_makes_no_schedule_names_its_field(client: TestClient) -> None:
    body = {"name": "x", "kind": "screen", "cron": "0 3 * * *", "request": {"source": "s3://a"}}
    for change, field in (
        ({"cron": "soon"}, "cron"),
        ({"zone": "Mars"}, "zone"),
        ({"request": {}}, "source"),
        ({"request": {"source": "s3://a", "colour": 1}}, "colour"),
        ({"kind": "retrain", "request": {"data": ["nowhere"]}}, "data"),
    ):
        refused = client.post("/v1/schedules", json=body | change)
        assert (refused.status_code, refused.json()["field"]) == (422, field), refused.text


def test_a_key_schedules_what_it_might_submit(client: TestClient, wiring: Wiring) -> None:
    _, text = wiring.keys.create(DEFAULT_PROJECT, "ann", [Scope.ADMIN])
    ann = {"Authorization": f"Bearer {text.text}"}
    for request, status in (
        ({"source": "s3://archive/2026/"}, 201),
        ({"source": "/etc"}, 422),
        ({"source": "s3://archive/list.csv"}, 422),
        ({"source": "s3://archive", "completion_report": "/etc"}, 422),
        ({"source": "s3://archive", "webhook": "https://hooks.example/x"}, 422),
    ):
        body = {"name": str(request), "kind": "screen", "cron": "0 3 * * *", "request": request}
        assert client.post("/v1/schedules", json=body, headers=ann).status_code == status, request


def test_a_run_over_http(client: TestClient, wiring: Wiring, tmp_path: Path) -> None:
    data = str(write_source(tmp_path / "base"))
    made = client.post("/v1/runs", json={"data": [data], "steps": 3})
    assert made.status_code == 201, made.text
    run_id = made.json()["id"]
    assert client.get(f"/v1/runs/{run_id}").json()["state"] == "queued"
    assert [run["id"] for run in client.get("/v1/runs").json()["data"]] == [run_id]
    assert client.post(f"/v1/runs/{run_id}/cancel").json()["cancelled"] is True
    assert client.get("/v1/runs/nobody").json()["type"] == "urn:nclscreen:problem:run-not-found"
    wiring.projects.create("lab")
    _, text = wiring.keys.create(wiring.projects.get("lab").name, "bob", [Scope.ADMIN])
    foreign = {"Authorization": f"Bearer {text.text}"}
    for path in ("/v1/runs", f"/v1/runs/{run_id}", "/v1/schedules"):
        assert client.get(path, headers=foreign).status_code == 403
