"""What unit tests share: a SQLite database at the current schema, copied from one that was migrated once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import Bench
from sqlalchemy import Engine

from jobs import dispatcher
from jobs.database import create_database_engine
from jobs.migrations import upgrade
from jobs.screening import shard_screener


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the tables and nothing in them; for copying."""
    path = tmp_path_factory.mktemp("schema") / "empty.db"
    engine = create_database_engine(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()  # the last connection writes everything into the one file
    return path


@pytest.fixture
def engine(migrated_file: Path, tmp_path: Path) -> Iterator[Engine]:
    """A SQLite database with its tables."""
    shutil.copy(migrated_file, tmp_path / "jobs.db")
    engine = create_database_engine(f"sqlite:///{tmp_path / 'jobs.db'}")
    yield engine
    engine.dispose()


@pytest.fixture
def bench(engine: Engine) -> Bench:
    return Bench(engine)


@pytest.fixture(autouse=True)
def second_chances_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images that could not be read are asked for again without a pause."""
    monkeypatch.setattr(shard_screener, "_SECOND_CHANCE_S", 0.001)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dispatcher's pauses and heartbeats without the waiting."""
    monkeypatch.setattr(dispatcher, "_DATABASE_PAUSE_S", 0.001)
    monkeypatch.setattr(dispatcher, "_LONGEST_PAUSE_S", 0.001)
    monkeypatch.setattr(dispatcher, "_BEAT_S", 0.0)
