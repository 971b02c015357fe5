"""`keys`, `projects`, `audit` on the command line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jobs.domain.access import DEFAULT_PROJECT, Caller, ProjectName, Scope
from nclscreen.cli.app import run
from nclscreen.wiring import Wiring


def document(capsys: pytest.CaptureFixture[str], *said: str) -> Any:
    capsys.readouterr()
    assert run([*said, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_key_is_made_for_scripts_listed_and_revoked(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["keys", "create", "night [desk]\x1b", "--scope", "read", "--scope", "review", "--lifetime", "90d"]) == 0
    made = capsys.readouterr()
    text = made.out.strip()
    assert wiring.keys.caller(text).name == "night [desk]\x1b"
    assert "review" in made.err
    assert text.split("_")[2] not in made.err
    assert run(["keys", "list"]) == 0
    listed = capsys.readouterr().out
    assert "night [desk]" in listed
    assert "\x1b" not in listed
    assert "read, review" in listed
    key_id = text.split("_")[1]
    assert run(["keys", "revoke", key_id]) == 0
    assert "lets nobody in" in capsys.readouterr().out
    (key,) = document(capsys, "keys", "list")
    assert key["revoked_at"] is not None
    assert "key" not in key


def test_what_makes_no_key_is_refused(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    for said, code, words in (
        (["keys", "create", "x"], 2, "--scope"),
        (["keys", "create", "x", "--scope", "write"], 2, "write"),
        (["keys", "create", " ", "--scope", "read"], 2, "1 to 100"),
        (["keys", "create", "x", "--scope", "read", "--lifetime", "soon"], 2, "30m, 12h"),
        (["keys", "create", "x", "--scope", "read", "--project", "nobody"], 1, "no project 'nobody'"),
        (["keys", "revoke", "abc"], 1, "no key 'abc'"),
        (["projects", "create", "A b"], 1, "small letters"),
        (["projects", "create", "x", "--place", "ftp://x"], 2, "ftp"),
    ):
        assert run(said) == code, said
        assert words in capsys.readouterr().err, said
    assert wiring.keys.all() == []


def test_projects_have_places(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    made = document(capsys, "projects", "create", "lab", "--place", "s3://archive/2026/", "--place", "/srv/photos")
    assert made == {"name": "lab", "places": ["s3://archive/2026", "file:///srv/photos"]}
    assert run(["keys", "create", "bob", "--scope", "admin", "--project", "lab"]) == 0
    assert wiring.keys.all(ProjectName("lab"))[0].name == "bob"
    assert document(capsys, "projects", "limit", "lab") == {"name": "lab", "places": None}
    assert [each["name"] for each in document(capsys, "projects", "list")] == ["default", "lab"]
    assert run(["projects", "list"]) == 0
    assert "any bucket" in capsys.readouterr().out


def test_the_audit_log_is_shown(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    for project in (DEFAULT_PROJECT, ProjectName("lab")):
        caller = Caller(name="ann\x1b", scopes=frozenset({Scope.READ}), project=project)
        wiring.audit_log.add(caller, "pause_job", "/v1/jobs/x/pause", 403)
    assert run(["audit-log"]) == 0
    said = capsys.readouterr().out
    assert said.count("pause_job") == 2
    assert "\x1b" not in said
    (entry,) = document(capsys, "audit-log", "--project", "lab")
    assert (entry["action"], entry["status"]) == ("pause_job", 403)
