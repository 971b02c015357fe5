"""Settings that got another name: the old one is still understood."""

from __future__ import annotations

import pytest

from nclscreen.settings import Settings
from nclscreen.surroundings import InvalidSettings, load_settings


@pytest.mark.parametrize("name", ["NCLSCREEN_STORAGE_MAX_WAIT_S", "NCLSCREEN_STORE_PATIENCE_S"])
def test_how_long_a_storage_is_waited_for_has_two_names(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "7")
    assert load_settings().storage_max_wait_s == 7
    monkeypatch.setenv(name, "soon")
    with pytest.raises(InvalidSettings, match=r"^NCLSCREEN_STOR[A-Z_]+_S: "):
        load_settings()


def test_code_uses_the_name_of_the_field() -> None:
    assert Settings(storage_max_wait_s=7).storage_max_wait_s == 7
