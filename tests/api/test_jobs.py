"""Jobs over HTTP: submitted once for each key, listed in pages, steered, followed."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from support.builders import FINGERPRINT, entry, ready_job, scored
from support.made_evidence import evidence
from support.screened_jobs import ScreenedJob, Shot, photo_bytes, screened_job

from jobs.shards.work_queue import WorkQueue
from nclscreen.wiring import Wiring


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "corpus"
    made.mkdir()
    (made / "a.jpg").write_bytes(photo_bytes())
    return made


def submitted(client: TestClient, folder: Path, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/jobs", json={"source": str(folder), "threshold": 0.5} | body)
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{document['id']}"
    return document


def test_a_job_is_submitted_and_found(client: TestClient, folder: Path) -> None:
    made = submitted(client, folder, name="weekly", tags=["x"], priority=3)
    found = client.get(f"/v1/jobs/{made['id']}").json()
    assert (found["state"], found["name"], found["tags"], found["priority"]) == ("preparing", "weekly", ["x"], 3)
    assert found["waits_for"] == "no dispatcher works on this database"
    listed = client.get("/v1/jobs").json()
    assert [each["id"] for each in listed["data"]] == [made["id"]]
    assert (listed["has_more"], listed["next"]) == (False, None)


def test_the_same_idempotency_key_makes_no_second_job(client: TestClient, folder: Path) -> None:
    body, headers = {"source": str(folder), "threshold": 0.5}, {"Idempotency-Key": "k1"}
    first = client.post("/v1/jobs", json=body, headers=headers)
    again = client.post("/v1/jobs", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    other = client.post("/v1/jobs", json=body | {"threshold": 0.6}, headers=headers)
    assert (other.status_code, other.json()["type"]) == (409, "urn:nclscreen:problem:idempotency-key-reused")
    assert len(client.get("/v1/jobs").json()["data"]) == 1


def test_pages_have_every_job_once_although_new_ones_come(client: TestClient, folder: Path) -> None:
    made = [submitted(client, folder)["id"] for _ in range(5)]
    seen: list[str] = []
    page = client.get("/v1/jobs", params={"limit": 2}).json()
    while True:
        seen += [each["id"] for each in page["data"]]
        if not page["has_more"]:
            break
        submitted(client, folder, tags=["new"])
        page = client.get("/v1/jobs", params={"limit": 2, "cursor": page["next"]}).json()
    assert seen == made[::-1]


@pytest.mark.parametrize(
    ("parameters", "status", "kind"),
    [
        ({"tagg": "x"}, 422, "invalid-request"),
        ({"limit": 0}, 422, "invalid-request"),
        ({"limit": 1001}, 422, "invalid-request"),
        ({"state": "sleeping"}, 422, "invalid-request"),
        ({"cursor": "none"}, 422, "invalid-cursor"),
    ],
)
def test_what_cannot_be_meant_is_a_problem(
    client: TestClient, parameters: dict[str, Any], status: int, kind: str
) -> None:
    answer = client.get("/v1/jobs", params=parameters)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert (document["type"], document["status"]) == (f"urn:nclscreen:problem:{kind}", status)
    assert document["detail"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"threshold": 0.5}, "source"),
        ({"source": "x", "treshold": 0.5}, "treshold"),
        ({"source": "x", "token": "k"}, "token"),
        ({"source": "FOLDER", "threshold": 2}, "threshold"),
        ({"source": "FOLDER", "min_size": "many"}, "min_size"),
    ],
)
def test_a_request_that_is_wrong_names_the_field_and_makes_no_job(
    client: TestClient, folder: Path, body: dict[str, Any], named: str
) -> None:
    answer = client.post("/v1/jobs", json={k: str(folder) if v == "FOLDER" else v for k, v in body.items()})
    assert answer.status_code == 422
    document = answer.json()
    assert named in {document.get("field"), *(each["field"] for each in document.get("errors", []))}
    assert client.get("/v1/jobs").json()["data"] == []


def test_a_job_is_steered(client: TestClient, folder: Path) -> None:
    address = f"/v1/jobs/{submitted(client, folder)['id']}"
    assert client.post(f"{address}/priority", json={"priority": 7}).json()["priority"] == 7
    assert client.post(f"{address}/cancel").json()["state"] == "cancelled"
    again = client.post(f"{address}/resume")
    assert (again.status_code, again.json()["type"]) == (409, "urn:nclscreen:problem:wrong-state")
    assert client.delete(address).status_code == 202


def test_failed_images_are_tried_once_more(screened: ScreenedJob, client: TestClient) -> None:
    address = f"/v1/jobs/{screened.job.id}"
    answer = client.post(f"{address}/retry", json={"codes": ["corrupt"]})
    assert answer.status_code == 201, answer.text
    assert answer.json()["retry_of"] == screened.job.id
    assert client.post(f"{address}/retry", json={"codes": ["timeout"]}).json()["type"].endswith("nothing-to-retry")


def test_unknown_jobs_and_addresses_are_not_found(client: TestClient) -> None:
    for address in ("/v1/jobs/0000000000000000", "/v1/jobs/%2e%2e", "/v1/jobs/0000000000000000/events", "/v2"):
        answer = client.get(address)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


def test_events_tell_every_change_until_the_end(
    client: TestClient, wiring: Wiring, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nclscreen.api.job_events.LOOK_S", 0.01)
    job_id = submitted(client, folder)["id"]
    told: list[tuple[str, Any]] = []
    with client.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        kind = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                told.append((kind, json.loads(line.removeprefix("data: "))))
                if len(told) == 1:
                    wiring.jobs.prioritize(job_id, 4)
                elif len(told) == 2:
                    wiring.jobs.cancel(job_id)
    assert [kind for kind, _ in told] == ["job", "job", "job", "end"]
    assert [each["priority"] for kind, each in told if kind == "job"] == [0, 4, 4]
    assert told[-1][1] == {"id": job_id, "state": "cancelled"}


def test_who_comes_back_hears_nothing_twice(client: TestClient, wiring: Wiring, folder: Path) -> None:
    job_id = submitted(client, folder)["id"]
    wiring.jobs.cancel(job_id)
    first = client.get(f"/v1/jobs/{job_id}/events").text
    last = next(line.removeprefix("id: ") for line in first.splitlines() if line.startswith("id: "))
    again = client.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": last}).text
    assert "event: job" in first
    assert "event: job" not in again
    assert "event: end" in again


def test_what_another_rule_would_flag(screened: ScreenedJob, client: TestClient) -> None:
    address = f"/v1/jobs/{screened.job.id}/replay"
    found = client.get(address, params={"threshold": 0.6}).json()
    assert (found["flagged"], found["would_flag"], found["added"], found["removed"]) == (3, 2, 0, 1)
    assert client.get(address, params={"threshold": 0.1, "min_area": 1}).json()["would_flag"] == 0
    assert client.get(address, params={"cutoff": 0.33}).status_code == 422
    assert client.get(address, params={"threshold": 2}).status_code == 422
    assert client.get("/v1/jobs/0000000000000000/replay").status_code == 404


def test_a_job_that_is_over_gets_another_threshold(screened: ScreenedJob, client: TestClient, wiring: Wiring) -> None:
    address = f"/v1/jobs/{screened.job.id}/threshold"
    asked = client.post(address, json={"threshold": 0.6})
    assert asked.status_code == 202, asked.text
    assert (asked.json()["threshold"], asked.json()["reflagging"]) == (0.5, {"threshold": 0.6})
    assert wiring.reflagging(None).step(threading.Event())
    job = client.get(f"/v1/jobs/{screened.job.id}").json()
    assert (job["threshold"], job["reflagging"], job["counts"]["flagged"]) == (0.6, None, 2)
    flagged = client.get("/v1/verdicts", params={"job": screened.job.id, "flagged": True}).json()["data"]
    assert [each["key"] for each in flagged] == ["a.jpg", "<script>.jpg"]
    for wrong in ({}, {"threshold": 2}, {"threshold": 0.5, "max_fpr": 0.1}, {"score": 0.5}):
        assert client.post(address, json=wrong).status_code == 422, wrong


def test_its_images_are_screened_once_more(screened: ScreenedJob, client: TestClient, wiring: Wiring) -> None:
    answer = client.post(f"/v1/jobs/{screened.job.id}/rescreen", json={"images": "flagged", "name": "again"})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{made['id']}"
    assert (made["retry_of"], made["retry_images"], made["name"]) == (screened.job.id, "flagged", "again")
    assert made["model"]["fingerprint"] == wiring.model.fingerprint
    none = client.post(f"/v1/jobs/{screened.job.id}/rescreen", json={"images": "reviewed"})
    assert (none.status_code, none.json()["type"]) == (409, "urn:nclscreen:problem:nothing-to-retry")
    assert client.post(f"/v1/jobs/{screened.job.id}/rescreen", json={"images": "failed"}).status_code == 422
    assert client.post(f"/v1/jobs/{made['id']}/rescreen", json={}).status_code == 409  # it is not over


def test_what_another_job_said_of_the_same_images(screened: ScreenedJob, client: TestClient) -> None:
    job_id = screened.job.id
    assert client.get(f"/v1/jobs/{job_id}/changes").status_code == 422
    assert client.get(f"/v1/jobs/{job_id}/changes", params={"against": "0" * 16}).status_code == 404
    again = client.post(f"/v1/jobs/{job_id}/rescreen", json={"sample": 3}).json()
    found = client.get(f"/v1/jobs/{again['id']}/changes").json()
    assert (found["against"], found["compared"], found["flagged"], found["cleared"]) == (job_id, 0, 0, 0)
    listed = {"job": job_id, "against": again["id"], "change": "flagged"}
    assert client.get("/v1/verdicts", params=listed).json()["data"] == []
    assert client.get("/v1/verdicts", params=listed | {"against": "0" * 16}).status_code == 404
    assert client.get("/v1/verdicts", params={"job": job_id, "change": "flagged"}).status_code == 422


def test_a_job_that_runs_keeps_its_threshold(client: TestClient, folder: Path) -> None:
    made = submitted(client, folder)
    answer = client.post(f"/v1/jobs/{made['id']}/threshold", json={"threshold": 0.6})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:nclscreen:problem:wrong-state")


def test_cases_over_http(wiring: Wiring, client: TestClient) -> None:
    images = [entry(f"{name}/1.jpg", case=name) for name in ("a", "<b>")]
    job_id = ready_job(wiring.engine, images, shard_size=2)
    (lease,) = WorkQueue(wiring.engine, "tests").claim(1, 60, fingerprints=[FINGERPRINT], job_id=job_id)
    WorkQueue(wiring.engine, "tests").finish(lease, [scored(0, images[0], 0.3), scored(1, images[1], 0.9)])
    first = client.get(f"/v1/jobs/{job_id}/cases", params={"limit": 1}).json()
    assert [each["case"] for each in first["data"]] == ["<b>"]
    rest = client.get(f"/v1/jobs/{job_id}/cases", params={"limit": 1, "cursor": first["next"]}).json()
    assert ([each["case"] for each in rest["data"]], rest["has_more"]) == (["a"], False)
    by_name = client.get(f"/v1/jobs/{job_id}/cases", params={"sort": "name", "flagged": "false"}).json()
    assert [each["case"] for each in by_name["data"]] == ["a"]
    assert client.get(f"/v1/jobs/{job_id}/cases", params={"sort": "age"}).status_code == 422
    found = client.get("/v1/verdicts", params={"job": job_id, "case": "a"}).json()["data"]
    assert [(each["key"], each["case"], each["review"]) for each in found] == [("a/1.jpg", "a", None)]


def test_a_job_that_is_over_says_what_could_not_be_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    scaled = evidence(0, {"traces": "no_grid", "together": "no_grid"}, pixels=0.1)
    found = screened_job(tmp_path / "scaled", [Shot(key="a.jpg", score=0.1, evidence=scaled)])
    monkeypatch.setenv("NCLSCREEN_DATABASE_URL", found.store._engine.url.render_as_string(hide_password=False))
    client: TestClient = request.getfixturevalue("client")
    assert client.get(f"/v1/jobs/{found.job.id}").json()["untestable"] == {"traces": 1, "together": 1}
    page = client.get(f"/jobs/{found.job.id}").text
    assert "<dt>Could not be tested for</dt><dd>traces of earlier saving in 1</dd>" in page
    found.close()


def test_nothing_is_said_where_all_was_tested(screened: ScreenedJob, client: TestClient) -> None:
    assert client.get(f"/v1/jobs/{screened.job.id}").json()["untestable"] == {}
    assert "Could not be tested" not in client.get(f"/jobs/{screened.job.id}").text
