"""Opening the embedded database, also when another program opens the same new file at this moment."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from jobs.sql import database
from jobs.sql.database import create_database_engine, reading
from jobs.sql.errors import DatabaseAway


def test_a_new_file_that_somebody_reads_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new.sqlite"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("CREATE TABLE t (a)")
    other.execute("BEGIN")
    other.execute("SELECT * FROM t").fetchall()  # its read lock stands in the way of the switch to WAL
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if other.in_transaction:
            other.execute("ROLLBACK")

    monkeypatch.setattr(database.time, "sleep", wait)
    with monkeypatch.context() as impatient:
        # as when two programs switch at once: SQLite then says "busy" without any patience of its own
        impatient.setattr(database, "_SQLITE_BUSY_S", 0)
        engine = create_database_engine(f"sqlite:///{path}")
    with reading(engine) as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
    engine.dispose()
    other.close()
    assert waits, "the switch was not stood in the way of: the test tests nothing"


def test_the_wait_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new.sqlite"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("CREATE TABLE t (a)")
    other.execute("BEGIN")
    other.execute("SELECT * FROM t").fetchall()
    monkeypatch.setattr(database, "_SQLITE_BUSY_S", 0)
    engine = create_database_engine(f"sqlite:///{path}")
    with pytest.raises(DatabaseAway, match="locked"), reading(engine):
        pass
    engine.dispose()
    other.close()
