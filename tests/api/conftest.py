"""The HTTP API and the pages on a database and a folder of its own; no Ray, no model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from support.empty_databases import empty_database
from support.screened_jobs import ScreenedJob, Shot, screened_job
from support.tiny_model import save_tiny_model

from jobs.errors import ErrorCode
from nclscreen.api import create_app
from nclscreen.pages import add_pages
from nclscreen.settings import Settings
from nclscreen.wiring import Wiring

SHOTS = [
    Shot(key="a.jpg", score=0.9),
    Shot(key="b.jpg", score=0.2),
    Shot(key="<script>.jpg", score=0.7),
    Shot(key="broken.jpg", code=ErrorCode.CORRUPT),
    Shot(key="d.jpg", score=0.55, keep_heatmap=False),
]


@pytest.fixture
def wiring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wiring]:
    monkeypatch.setenv("NCLSCREEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NCLSCREEN_WEIGHTS", str(save_tiny_model(tmp_path / "tiny.safetensors")))
    empty_database(tmp_path / "home" / "nclscreen.sqlite").dispose()
    found = Wiring(Settings())
    yield found
    found.engine.dispose()
    if "decoder" in vars(found):
        found.decoder.close()


@pytest.fixture
def client(wiring: Wiring) -> Iterator[TestClient]:
    app = create_app(wiring)
    add_pages(app)
    with TestClient(app, base_url="http://127.0.0.1:8080", raise_server_exceptions=False) as found:
        yield found


@pytest.fixture
def screened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScreenedJob]:
    """A job with verdicts, in the database that `wiring` opens afterwards."""
    found = screened_job(tmp_path / "screened", SHOTS)
    monkeypatch.setenv("NCLSCREEN_DATABASE_URL", found.store._engine.url.render_as_string(hide_password=False))
    yield found
    found.close()
