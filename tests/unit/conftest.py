"""What unit tests share: a database, a folder, the wiring of the commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from support.builders import Bench
from support.empty_databases import empty_database
from support.tiny_model import save_tiny_model

from jobs import background, dispatcher, outcomes
from jobs.leased_work import task
from jobs.screening import shard_screener
from jobs.storage import FolderStorage
from nclscreen.wiring import Wiring, wire


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A SQLite database with its tables."""
    engine = empty_database(tmp_path / "jobs.db")
    yield engine
    engine.dispose()


@pytest.fixture
def bench(engine: Engine) -> Bench:
    return Bench(engine)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty one."""
    made = tmp_path / "corpus"
    made.mkdir()
    return made


@pytest.fixture
def storage(folder: Path) -> FolderStorage:
    """Of `folder`."""
    return FolderStorage.at(folder)


@pytest.fixture
def wiring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wiring]:
    """The wiring that the commands use, with an empty home."""
    monkeypatch.setenv("NCLSCREEN_HOME", str(tmp_path / "home"))
    wire.cache_clear()
    yield wire()
    wire().engine.dispose()
    wire.cache_clear()


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model's, for reading."""
    return save_tiny_model(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture
def photos(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photographs in the current folder, and a tiny model for the commands."""
    monkeypatch.setenv("NCLSCREEN_WEIGHTS", str(weights))
    (tmp_path / "photos").mkdir()
    for number in range(12):
        (tmp_path / "photos" / f"{number:02d}.jpg").write_bytes(b"x" * (number + 1) * 1000)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def second_chances_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images that could not be read are asked for again without a pause."""
    monkeypatch.setattr(shard_screener, "_SECOND_CHANCE_S", 0.001)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dispatcher's pauses and heartbeats without the waiting."""
    monkeypatch.setattr(dispatcher, "_DATABASE_PAUSE_S", 0.001)
    monkeypatch.setattr(outcomes, "_LONGEST_PAUSE_S", 0.001)
    monkeypatch.setattr(dispatcher, "_BEAT_S", 0.0)
    monkeypatch.setattr(background, "_PAUSE_S", 0.01)
    monkeypatch.setattr(background, "_PAUSE_AFTER_ERROR_S", 0.01)
    monkeypatch.setattr(task, "_DATABASE_PAUSE_S", 0.001)
