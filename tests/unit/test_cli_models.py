"""`models`, `model`, `register`, `promote`, `rollback` on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.tiny_model import save_tiny_model

from jobs.domain.registry import Alias
from nclscreen.cli.app import run
from nclscreen.wiring import Wiring


def document(capsys: pytest.CaptureFixture[str], *said: str) -> Any:
    capsys.readouterr()
    assert run([*said, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_version_is_registered_promoted_and_taken_back(
    wiring: Wiring, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = save_tiny_model(tmp_path / "other.safetensors", seed=5)
    made = document(capsys, "register", str(file))["fingerprint"]
    assert made != wiring.model.fingerprint
    assert run(["models"]) == 0
    listed = capsys.readouterr().out
    assert "(installed)" in listed
    assert made[:12] in listed
    assert run(["promote", made[:6], "--dry-run"]) == 0
    assert "would be champion" in capsys.readouterr().out
    assert run(["promote", made[:6], "--reason", "it is [better]"]) == 0
    assert "is champion; nothing was promoted before" not in capsys.readouterr().out
    assert wiring.current_model.fingerprint == made
    assert run(["model"]) == 0
    assert "it is [better]" in capsys.readouterr().out
    assert document(capsys, "models")["champion"] == made
    assert document(capsys, "model", "--at", "2020-01-01") is None
    assert run(["rollback"]) == 0
    assert wiring.current_model.fingerprint == wiring.model.fingerprint
    assert run(["rollback"]) == 1
    assert "no other version before" in capsys.readouterr().err
    assert [move.actor for move in wiring.registry.history(Alias.CHAMPION)][:1] == ["nclscreen"]


def test_what_cannot_be_is_said(wiring: Wiring, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "no.safetensors").write_bytes(b"no weights")
    for said, code, words in (
        (["promote", "abc"], 1, "no model version 'abc'"),
        (["register", str(tmp_path / "no.safetensors")], 1, "no.safetensors"),
        (["model"], 1, "no model version 'champion'"),
        (["model", "--at", "soon"], 2, "soon"),
    ):
        assert run(said) == code, said
        assert words in capsys.readouterr().err, said
