"""What holds for every address: health, errors, strangers' pages, the document that describes it all."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from jobs.domain.access import DEFAULT_PROJECT, Scope
from jobs.sql.errors import away
from nclscreen.api import create_app
from nclscreen.api.server import AddressRefused, listening_socket
from nclscreen.wiring import Wiring


def test_it_lives_and_is_ready(client: TestClient) -> None:
    assert client.get("/healthz").json()["status"] == "ok"
    assert client.get("/readyz").json() == {"status": "ok"}


def test_it_lives_and_is_not_ready_while_the_database_is_away(
    client: TestClient, wiring: Wiring, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object) -> None:
        raise away(sqlite3.OperationalError("disk I/O error"))

    monkeypatch.setattr(wiring.jobs, "latest", asked)
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:nclscreen:problem:database-away")
    assert int(answer.headers["retry-after"]) > 0


def test_what_nobody_thought_of_tells_nothing(
    client: TestClient, wiring: Wiring, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(wiring.jobs, "latest", broken)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:nclscreen:problem:internal")
    assert "hunter2" not in answer.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8080"}, 404),
        ({"Origin": "http://127.0.0.1:8080"}, 404),
        ({}, 404),
    ],
)
def test_pages_of_others_change_nothing(client: TestClient, headers: dict[str, str], status: int) -> None:
    assert client.post("/v1/jobs/0000000000000000/cancel", headers=headers).status_code == status
    assert client.get("/v1/jobs", headers=headers).status_code == 200


@pytest.mark.parametrize("announced", [True, False])
def test_large_bodies_are_refused(client: TestClient, announced: bool) -> None:
    body = b'{"source": "' + b"x" * (1 << 20) + b'"}'
    answer = client.post("/v1/jobs", content=body if announced else iter([body]))
    assert answer.status_code == 413
    assert client.get("/v1/jobs").json()["data"] == []


def test_the_description_names_every_field_of_a_job(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    body = document["components"]["schemas"]["NewJobBody"]
    assert {"source", "threshold", "max_fpr", "rescore"} <= set(body["properties"])
    assert "token" not in body["properties"]
    assert body["required"] == ["source"]
    assert body["additionalProperties"] is False


def test_others_are_listened_to_once_there_is_a_key(wiring: Wiring) -> None:
    for host in ("0.0.0.0", "::", "example.org"):
        with pytest.raises(AddressRefused):
            listening_socket(wiring, host, 0)
    with listening_socket(wiring, "127.0.0.1", 0) as taken:
        assert taken.getsockname()[1] > 0
    key, _ = wiring.keys.create(DEFAULT_PROJECT, "ann", [Scope.READ])
    with listening_socket(wiring, "0.0.0.0", 0) as taken:
        assert taken.getsockname()[0] == "0.0.0.0"
    wiring.keys.revoke(key.id)
    with pytest.raises(AddressRefused):
        listening_socket(wiring, "0.0.0.0", 0)


def test_nothing_opens_by_itself_when_the_last_key_is_gone(wiring: Wiring) -> None:
    client = TestClient(create_app(wiring, open_without_keys=False))
    assert client.get("/v1/jobs").status_code == 401


def test_a_database_with_rows_answers_while_it_is_written(client: TestClient, wiring: Wiring) -> None:
    with wiring.engine.begin() as connection:
        connection.execute(text("CREATE TABLE scratch (a INTEGER)"))
        assert client.get("/v1/jobs").status_code == 200


def test_the_documentation_has_every_address(client: TestClient) -> None:
    text_ = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    for path in client.get("/openapi.json").json()["paths"]:
        last = path.rsplit("/", 1)[-1]
        assert (
            path.replace("{job_id}", "{id}").replace("{key_id}", "{id}") in text_ or last in text_ or last == "{kind}"
        ), path
