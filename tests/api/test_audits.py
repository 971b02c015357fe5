"""Audits over HTTP and on the job's page."""

from __future__ import annotations

import html
import re

from starlette.testclient import TestClient
from support.screened_jobs import ScreenedJob

from jobs.domain.access import ProjectName, Scope
from nclscreen.api import create_app
from nclscreen.wiring import Wiring


def test_a_sample_is_drawn_reviewed_and_says_how_right_the_job_was(screened: ScreenedJob, client: TestClient) -> None:
    job = screened.job.id
    missing = client.get(f"/v1/jobs/{job}/audit")
    assert (missing.status_code, missing.json()["type"]) == (404, "urn:nclscreen:problem:audit-not-found")
    drawn = client.post(f"/v1/jobs/{job}/audit", json={"size": 10, "seed": 4})
    assert drawn.status_code == 201, drawn.text
    found = drawn.json()
    assert (found["audit"], found["size"], found["seed"], found["drawn"], found["unreviewed"]) == (1, 10, 4, 4, 4)
    assert (found["unscored"], found["precision"], found["missed_rate"]) == (1, None, None)
    assert [each["name"] for each in found["strata"]] == ["flagged high", "flagged low", "far below"]
    assert client.get(f"/v1/jobs/{job}/audit").json() == found
    sample = client.get("/v1/verdicts", params={"job": job, "audit": 1}).json()["data"]
    assert sorted(each["ordinal"] for each in sample) == [0, 1, 2, 4]
    decisions = {0: "confirmed", 2: "confirmed", 4: "rejected", 1: "unsure"}
    for ordinal, decision in decisions.items():
        client.post(f"/v1/jobs/{job}/verdicts/{ordinal}/reviews", json={"decision": decision})
    found = client.get(f"/v1/jobs/{job}/audit", params={"number": 1}).json()
    assert (found["unreviewed"], found["unsure"]) == (0, 1)
    assert found["precision"] == {"value": 0.6667, "low": 0.6667, "high": 0.6667}  # all of them were looked at
    assert (found["missed_rate"], found["missed_share"]) == (None, None)
    client.post(f"/v1/jobs/{job}/verdicts/1/reviews", json={"decision": "confirmed"})
    found = client.get(f"/v1/jobs/{job}/audit").json()
    assert (found["missed_rate"]["value"], found["missed_share"]["value"]) == (1, 0.3333)


def test_what_cannot_be_drawn(screened: ScreenedJob, client: TestClient) -> None:
    address = f"/v1/jobs/{screened.job.id}/audit"
    for body in ({"size": 9}, {"size": 10_001}, {"seed": -1}, {"seed": 2**53}, {"colour": "red"}):
        assert client.post(address, json=body).status_code == 422, body
    assert client.get(address, params={"number": 0}).status_code == 422
    assert client.post("/v1/jobs/0000000000000000/audit", json={}).status_code == 404
    assert client.get("/v1/verdicts", params={"audit": 1, "flagged": True}).status_code == 422
    assert client.get("/v1/verdicts", params={"audit": 9, "job": screened.job.id}).json()["data"] == []


def test_an_audit_is_of_its_project_and_drawn_by_reviewers(
    screened: ScreenedJob, client: TestClient, wiring: Wiring
) -> None:
    address = f"/v1/jobs/{screened.job.id}/audit"
    wiring.projects.create("lab")
    keys = {
        name: wiring.keys.create(ProjectName(project), name, [scope])[1].text
        for name, project, scope in (
            ("looks", "default", Scope.READ),
            ("reviews", "default", Scope.REVIEW),
            ("other", "lab", Scope.ADMIN),
        )
    }

    def answer(method: str, who: str) -> int:
        header = {"Authorization": f"Bearer {keys[who]}"}
        return client.request(method, address, headers=header, json={} if method == "POST" else None).status_code

    assert (answer("POST", "looks"), answer("POST", "other"), answer("GET", "other")) == (403, 404, 404)
    assert (answer("POST", "reviews"), answer("GET", "looks"), answer("GET", "reviews")) == (201, 200, 403)
    assert wiring.audits.get(screened.job.id).drawn_by == "reviews"


def test_the_job_page_draws_a_sample_and_shows_what_it_says(screened: ScreenedJob, client: TestClient) -> None:
    job = screened.job.id
    page = client.get(f"/jobs/{job}").text
    assert "Draw a sample" in page
    shown = client.post(f"/jobs/{job}/audit", data={"size": "10", "seed": "0"})
    assert shown.status_code == 200
    assert "4 of 4 images are still unreviewed" in shown.text
    assert "not known" in shown.text
    link = re.search(rf"href=\"(/jobs/{job}/review\?audit=1[^\"]*)\"", shown.text)
    assert link
    address = html.unescape(link[1])
    for left in (3, 2, 1, 0):
        queue = client.get(address).text
        (ordinal,) = set(
            re.findall(rf"action=\"/jobs/{job}/images/(\d+)/reviews\"", queue.split('<nav class="strip')[0])
        )
        client.post(f"/jobs/{job}/images/{ordinal}/reviews", data={"decision": "confirmed"})
        assert f"{left} of 4 images are still unreviewed" in client.get(f"/jobs/{job}").text
    assert "Nothing is left here" in client.get(address).text
    page = client.get(f"/jobs/{job}").text
    assert "100.0 %" in page
    assert "25.0 %" in page  # of all tampered ones, one was not flagged
    assert client.post(f"/jobs/{job}/audit", data={"size": "9"}).status_code == 422


def test_an_app_of_another_database_knows_none(wiring: Wiring) -> None:
    client = TestClient(create_app(wiring), base_url="http://127.0.0.1:8080")
    assert client.get("/v1/jobs/0000000000000000/audit").status_code == 404
