"""Settings that cannot be meant are refused, and names that are none are told."""

from __future__ import annotations

import pytest

from nclscreen.cli.app import run
from nclscreen.settings import unknown_settings
from nclscreen.surroundings import InvalidSettings, load_settings
from nclscreen.wiring import Wiring


@pytest.mark.parametrize("value", ["inf", "nan", "-inf", "Infinity"])
@pytest.mark.parametrize("name", ["LEASE_S", "STORAGE_MAX_WAIT_S", "S3_READ_TIMEOUT_S", "SHARD_CPUS", "THRESHOLD"])
def test_numbers_without_an_end_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"NCLSCREEN_{name}", value)
    with pytest.raises(InvalidSettings, match=f"NCLSCREEN_{name}: Input should be (a finite number|.* than)"):
        load_settings()


def test_a_name_that_is_none_is_told_with_what_was_meant() -> None:
    names = ["NCLSCREEN_DATABASE_URI", "NCLSCREEN_HOME", "nclscreen_lease_s", "NCLSCREEN_STORE_PATIENCE_S", "PATH"]
    assert unknown_settings(names) == [("NCLSCREEN_DATABASE_URI", "NCLSCREEN_DATABASE_URL")]
    assert unknown_settings(["NCLSCREEN_QWERTZ"]) == [("NCLSCREEN_QWERTZ", None)]


def test_every_command_says_so(
    wiring: Wiring, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NCLSCREEN_LEASES", "5")
    assert run(["jobs", "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == "note: NCLSCREEN_LEASES is no setting and changes nothing; did you mean NCLSCREEN_LEASE_S?\n"
    assert said.out.startswith("{")
