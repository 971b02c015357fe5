"""Models over HTTP: listed, promoted, rolled back; jobs are pinned to the champion."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient
from support.screened_jobs import photo_bytes
from support.tiny_model import save_tiny_model

from jobs.domain.access import Scope
from nclscreen.services.models import register
from nclscreen.wiring import Wiring


@pytest.fixture
def other(wiring: Wiring, tmp_path: Path) -> str:
    """The fingerprint of a registered version that is not the installed one."""
    return register(wiring, save_tiny_model(tmp_path / "other.safetensors", seed=5)).fingerprint


def submitted_model(client: TestClient, folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "a.jpg").write_bytes(photo_bytes())
    answer = client.post("/v1/jobs", json={"source": str(folder), "threshold": 0.5})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["model"]["fingerprint"])


def test_new_jobs_are_pinned_to_the_champion(client: TestClient, wiring: Wiring, other: str, tmp_path: Path) -> None:
    installed = wiring.model.fingerprint
    assert submitted_model(client, tmp_path / "c") == installed
    tried = client.post(f"/v1/models/{other[:8]}/promote", json={"dry_run": True})
    assert (tried.status_code, tried.json()["move"]) == (200, None)
    assert submitted_model(client, tmp_path / "c") == installed
    done = client.post(f"/v1/models/{other[:8]}/promote", json={"reason": "fewer false alarms"}).json()
    assert (done["before"], done["move"]["fingerprint"], done["move"]["number"]) == (installed, other, 2)
    assert submitted_model(client, tmp_path / "c") == other
    assert client.get("/v1/models").json()["champion"] == other
    back = client.post("/v1/models/champion/rollback", json={})
    assert back.json()["fingerprint"] == installed
    assert submitted_model(client, tmp_path / "c") == installed
    again = client.post("/v1/models/champion/rollback", json={})
    assert (again.status_code, again.json()["type"]) == (409, "urn:nclscreen:problem:nothing-to-roll-back")
    moves = client.get("/v1/models/champion/moves").json()["data"]
    assert [move["fingerprint"] for move in moves] == [installed, other, installed]
    for moment, held in (("2020-01-01", []), ("2999-01-01", [3])):
        served = client.get("/v1/models/champion/moves", params={"at": moment}).json()["data"]
        assert [move["number"] for move in served] == held


def test_what_is_no_version_is_not_promoted(client: TestClient, wiring: Wiring, other: str, tmp_path: Path) -> None:
    assert client.post("/v1/models/nothing/promote", json={}).status_code == 404
    assert client.get("/v1/models/champion").status_code == 404, "nobody promoted yet"
    assert client.get("/v1/models/champion/moves", params={"at": "soon"}).status_code == 422
    kept = Path(wiring.settings.effective_models_uri) / f"{other}.safetensors"
    kept.write_bytes(kept.read_bytes()[:-40])
    damaged = client.post(f"/v1/models/{other}/promote", json={})
    assert damaged.status_code == 422, damaged.text
    assert wiring.registry.champion() is None, "nothing moved"


def test_models_serve_all_projects_so_that_one_alone_promotes_none(
    client: TestClient, wiring: Wiring, other: str
) -> None:
    wiring.projects.create("lab")
    _, text = wiring.keys.create(wiring.projects.get("lab").name, "bob", [Scope.ADMIN])
    headers = {"Authorization": f"Bearer {text.text}"}
    assert client.post(f"/v1/models/{other}/promote", json={}, headers=headers).status_code == 403
    assert client.post("/v1/models/champion/rollback", json={}, headers=headers).status_code == 403
    seen = client.get(f"/v1/models/{other}", headers=headers).json()
    assert "weights_uri" not in seen
    assert seen["fingerprint"] == other
