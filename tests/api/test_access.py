"""Who is let in over HTTP, for what, and what each sees: every address is asked, of today and of tomorrow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from starlette.testclient import TestClient
from support.screened_jobs import ScreenedJob

from jobs.domain.access import DEFAULT_PROJECT, Scope
from nclscreen.api import create_app
from nclscreen.api.admission import COOKIE
from nclscreen.settings import Settings
from nclscreen.wiring import Wiring

SAFE = {"GET", "HEAD"}


@dataclass
class Desk:
    """An application in which keys are needed, and how to make one."""

    wiring: Wiring
    client: TestClient

    def key(self, *scopes: Scope, project: str = DEFAULT_PROJECT, name: str = "ann") -> dict[str, str]:
        """The header that shows a new key."""
        _, text = self.wiring.keys.create(self.wiring.projects.get(project).name, name, scopes)
        return {"Authorization": f"Bearer {text.text}"}

    def routes(self) -> list[tuple[str, str]]:
        """Every address below /v1, with the methods."""
        paths = self.client.get("/openapi.json").json()["paths"]
        found = [(method.upper(), path) for path, methods in paths.items() for method in methods if path[:3] == "/v1"]
        assert len(found) > 25
        return found


@pytest.fixture
def desk(screened: ScreenedJob, wiring: Wiring) -> Iterator[Desk]:
    """With a job of the default project, and another project beside it."""
    wiring.projects.create("lab")
    # https, as browsers show the cookie of a session on nothing else
    with TestClient(create_app(wiring), base_url="https://desk.example", raise_server_exceptions=False) as client:
        yield Desk(wiring, client)


def address(path: str, job_id: str) -> str:
    values = {"job_id": job_id, "ordinal": "0", "kind": "photograph", "key_id": "000000000000"}
    return re.sub(r"{(\w+)[^}]*}", lambda found: values.get(found[1], "x"), path)


def ask(desk: Desk, method: str, path: str, job_id: str, headers: dict[str, str]) -> int:
    answer = desk.client.request(method, address(path, job_id), headers=headers, json={} if method == "POST" else None)
    return answer.status_code


def test_without_a_key_nobody_is_let_in_once_there_is_one(desk: Desk, screened: ScreenedJob) -> None:
    assert desk.client.get("/v1/jobs").status_code == 200, "open while there is none"
    desk.key(Scope.READ)
    for method, path in desk.routes():
        assert ask(desk, method, path, screened.job.id, {}) == 401, (method, path)
    refused = desk.client.get("/v1/jobs")
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.json()["type"] == "urn:nclscreen:problem:key-needed"
    assert desk.client.get("/healthz").status_code == 200
    assert desk.client.get("/readyz").status_code == 200


def test_wrong_keys_are_refused(desk: Desk) -> None:
    desk.key(Scope.READ)
    for text in ("Bearer", "Bearer x", "Bearer ncl_x", f"Bearer ncl_{'0' * 12}_{'0' * 64}_00000000", "Basic YTpi"):
        assert desk.client.get("/v1/jobs", headers={"Authorization": text}).status_code == 401, text


def test_a_key_to_read_changes_nothing(desk: Desk, screened: ScreenedJob) -> None:
    reader = desk.key(Scope.READ)
    for method, path in desk.routes():
        if method not in SAFE and path != "/v1/session":
            assert ask(desk, method, path, screened.job.id, reader) == 403, (method, path)
    assert desk.client.get("/v1/keys", headers=reader).status_code == 403
    assert desk.client.get("/v1/audit", headers=reader).status_code == 403
    assert desk.client.get("/v1/jobs", headers=reader).status_code == 200


def test_scopes_go_no_further_than_they_say(desk: Desk, screened: ScreenedJob) -> None:
    place = f"/v1/jobs/{screened.job.id}/verdicts/0/reviews"
    reviewer = desk.key(Scope.READ, Scope.REVIEW)
    submitter = desk.key(Scope.SUBMIT)
    assert desk.client.post(place, json={"decision": "unsure"}, headers=reviewer).status_code == 201
    assert desk.client.post(place, json={"decision": "unsure"}, headers=submitter).status_code == 403
    assert desk.client.delete(f"/v1/jobs/{screened.job.id}", headers=reviewer).status_code == 403
    assert desk.client.get("/v1/jobs", headers=submitter).status_code == 403, "it may not look"


def test_another_project_s_job_is_not_there(desk: Desk, screened: ScreenedJob) -> None:
    stranger = desk.key(Scope.ADMIN, project="lab")
    owner = desk.key(Scope.ADMIN)
    asked = 0
    for method, path in desk.routes():
        if "{job_id}" in path:
            asked += 1
            body = body_for(path)
            answer = desk.client.request(method, address(path, screened.job.id), headers=stranger, json=body)
            assert answer.status_code == 404, (method, path, answer.text)
            assert answer.json()["type"] == "urn:nclscreen:problem:job-not-found", (method, path)
            assert "a.jpg" not in answer.text
    assert asked > 15
    for query in (f"job={screened.job.id}", "flagged=true"):
        answer = desk.client.get(f"/v1/verdicts?{query}", headers=stranger)
        assert "a.jpg" not in answer.text, query
        export = desk.client.get(f"/v1/verdicts/export?format=jsonl&{query}", headers=stranger)
        assert "a.jpg" not in export.text, query
    assert desk.client.get("/v1/jobs", headers=stranger).json()["data"] == []
    assert desk.client.get(f"/v1/jobs/{screened.job.id}", headers=owner).status_code == 200
    assert "a.jpg" in desk.client.get("/v1/verdicts?flagged=true", headers=owner).text


def body_for(path: str) -> dict[str, object] | None:
    if path.endswith("/priority"):
        return {"priority": 1}
    if path.endswith("/second-looks"):
        return {"share": 0.5}
    return {"decision": "unsure"} if path.endswith("/reviews") else {}


def test_whoever_reviews_does_so_in_his_own_name(desk: Desk, screened: ScreenedJob) -> None:
    place = f"/v1/jobs/{screened.job.id}/verdicts/0/reviews"
    ann = desk.key(Scope.READ, Scope.REVIEW, name="ann")
    root = desk.key(Scope.ADMIN, name="root")
    written = desk.client.post(place, json={"decision": "confirmed"}, headers=ann)
    assert written.json()["reviewer"] == "ann"
    forged = desk.client.post(place, json={"decision": "rejected", "reviewer": "bob"}, headers=ann)
    assert forged.status_code == 403
    for_bob = desk.client.post(place, json={"decision": "rejected", "reviewer": "bob"}, headers=root)
    assert for_bob.json()["reviewer"] == "bob"
    undone = desk.client.post(f"{place}/undo", json={}, headers=ann)
    assert undone.json()["reviewer"] == "ann"


def test_keys_are_made_and_revoked_over_http(desk: Desk) -> None:
    root = desk.key(Scope.ADMIN, project="lab")
    made = desk.client.post("/v1/keys", json={"name": "bob", "scopes": ["read"], "lifetime": "2w"}, headers=root)
    assert made.status_code == 201, made.text
    assert made.headers["cache-control"] == "no-store"
    assert made.json()["project"] == "lab"
    bob = {"Authorization": f"Bearer {made.json()['key']}"}
    assert desk.client.get("/v1/me", headers=bob).json() == {"name": "bob", "project": "lab", "scopes": ["read"]}
    listed = desk.client.get("/v1/keys", headers=root).json()["data"]
    assert "key" not in listed[0]
    assert {key["name"] for key in listed} == {"bob", "ann"}
    default_root = desk.key(Scope.ADMIN)
    foreign = desk.client.delete(f"/v1/keys/{made.json()['id']}", headers=default_root)
    assert (foreign.status_code, foreign.json()["type"]) == (404, "urn:nclscreen:problem:key-not-found")
    assert desk.client.delete(f"/v1/keys/{made.json()['id']}", headers=root).status_code == 200
    assert desk.client.get("/v1/me", headers=bob).status_code == 401
    for body in ({"name": "x", "scopes": []}, {"name": "x", "scopes": ["read"], "lifetime": "soon"}, {"name": "x"}):
        assert desk.client.post("/v1/keys", json=body, headers=root).status_code == 422, body
    elsewhere = desk.client.post("/v1/keys", json={"name": "x", "scopes": ["read"], "project": "default"}, headers=root)
    assert elsewhere.status_code == 422


def test_a_browser_shows_its_key_once(desk: Desk) -> None:
    reader = desk.key(Scope.READ)
    opened = desk.client.post("/v1/session", headers=reader)
    assert opened.status_code == 204, opened.text
    cookie = opened.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    for part in ("HttpOnly", "Secure", "Path=/", "SameSite=lax"):
        assert part in cookie
    assert desk.client.get("/v1/jobs").status_code == 200, "the cookie is enough"
    assert desk.client.post("/v1/jobs", json={"source": "s3://x"}).status_code == 403, "for what the key is good for"
    assert desk.client.delete("/v1/session").status_code == 204
    desk.client.cookies.clear()
    assert desk.client.get("/v1/jobs").status_code == 401


def test_what_is_changed_is_written_down(desk: Desk, screened: ScreenedJob) -> None:
    root = desk.key(Scope.ADMIN, name="root")
    ann = desk.key(Scope.READ, name="ann")
    place = f"/v1/jobs/{screened.job.id}/verdicts/0/reviews"
    desk.client.post(place, json={"decision": "unsure"}, headers=root)
    desk.client.post(place, json={"decision": "unsure"}, headers=ann)
    desk.client.post(place, json={"decision": "unsure"})
    log = desk.client.get("/v1/audit", headers=root).json()["data"]
    assert [(each["actor"], each["action"], each["subject"], each["status"]) for each in log] == [
        ("ann", "create_review", place, 403),
        ("root", "create_review", place, 201),
    ]
    lab = desk.key(Scope.ADMIN, project="lab")
    assert desk.client.get("/v1/audit", headers=lab).json()["data"] == []


def test_a_project_reads_and_writes_where_it_may(
    desk: Desk, wiring: Wiring, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    lab = desk.key(Scope.SUBMIT, Scope.READ, project="lab")
    for body in (
        {"source": str(tmp_path)},
        {"source": "file:///etc"},
        {"source": "s3://archive", "completion_report": str(tmp_path)},
        {"source": "s3://archive", "webhook": "https://hooks.example/x"},
    ):
        answer = desk.client.post("/v1/jobs", json=body, headers=lab)
        assert answer.status_code == 422, (body, answer.text)
    from nclscreen.services.access import make_places

    wiring.projects.limit("lab", make_places([str(tmp_path)]))
    inside = desk.client.post("/v1/jobs", json={"source": str(tmp_path)}, headers=lab)
    assert inside.status_code == 201, inside.text
    assert wiring.jobs.get(inside.json()["id"]).project == "lab"
    outside = desk.client.post("/v1/jobs", json={"source": "/"}, headers=lab)
    assert outside.status_code == 422
    assert "is in no place of its project" in outside.json()["detail"]


def test_a_proxy_that_is_trusted_says_who_its_user_is(
    screened: ScreenedJob, wiring: Wiring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NCLSCREEN_PROXY_USER_HEADER", "X-Forwarded-User")
    monkeypatch.setenv("NCLSCREEN_PROXY_ADDRESSES", "192.0.2.0/24")
    behind = Wiring(Settings())
    place = f"/v1/jobs/{screened.job.id}/verdicts/0/reviews"
    said = {"X-Forwarded-User": "ann@example.org"}

    def from_(host: str) -> TestClient:
        return TestClient(create_app(behind, open_without_keys=False), client=(host, 5000))

    for host, status in (("192.0.2.7", 201), ("198.51.100.7", 401)):
        assert from_(host).post(place, json={"decision": "unsure"}, headers=said).status_code == status
    written = from_("192.0.2.7").get(place, headers=said).json()["data"]
    assert [each["reviewer"] for each in written] == ["ann@example.org"]
    assert from_("192.0.2.7").post("/v1/keys", json={}, headers=said).status_code == 403
    assert from_("192.0.2.7").get("/v1/jobs").status_code == 401, "nobody said who it is"
    behind.engine.dispose()


def test_a_key_that_asks_too_often_is_told_when_to_come_again(
    screened: ScreenedJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NCLSCREEN_API_RATE", "0.1")
    slow = Wiring(Settings())
    _, text = slow.keys.create(DEFAULT_PROJECT, "ann", [Scope.READ])
    client = TestClient(create_app(slow))
    headers = {"Authorization": f"Bearer {text.text}"}
    assert client.get("/v1/jobs", headers=headers).status_code == 200
    late = client.get("/v1/jobs", headers=headers)
    assert late.status_code == 429
    assert 1 <= int(late.headers["retry-after"]) <= 10
    slow.engine.dispose()


def test_the_key_is_in_no_log_and_no_answer(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    header = desk.key(Scope.READ)
    wrong = {"Authorization": header["Authorization"][:-1] + "x"}
    for headers in (header, wrong):
        answer = desk.client.get("/v1/jobs", headers=headers)
        assert header["Authorization"].split("_")[2] not in answer.text
    assert header["Authorization"].split("_")[2] not in caplog.text
