"""Databases of SQLite with the tables and nothing in them: copied, which is much faster than making each."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from sqlalchemy import Engine

from jobs.sql.database import create_database_engine
from jobs.sql.migrations import upgrade


def empty_database(path: Path) -> Engine:
    """A new file at the current schema, without rows; whoever uses the engine disposes of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_contents())
    return create_database_engine(f"sqlite:///{path}")


@cache
def _contents() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        engine = create_database_engine(f"sqlite:///{path}")
        upgrade(engine)
        engine.dispose()  # the last connection writes everything into the one file
        return path.read_bytes()
