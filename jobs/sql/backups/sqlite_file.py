"""SQLite by its online backup (sqlite.org/backup.html): a copy of one moment, whoever writes meanwhile."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine

from jobs.sql.backups.errors import BackupRefused
from jobs.sql.errors import away

_BUSY_S = 30.0


def take(engine: Engine, path: Path) -> None:
    """Copy the database into the file."""
    with closing(sqlite3.connect(str(engine.url.database), timeout=_BUSY_S)) as source, closing(_open(path)) as copy:
        _copy(source, copy)
        # one file, that opens where nobody may write
        copy.execute("PRAGMA journal_mode=DELETE")


def put_back(engine: Engine, path: Path, filled: bool) -> None:
    """Have the database hold what the file holds: one transaction, whether or not it is filled."""
    engine.dispose()
    target = sqlite3.connect(str(engine.url.database), timeout=_BUSY_S)
    with closing(_open(path)) as kept, closing(target):
        _copy(kept, target)


def revision_in(path: Path) -> str | None:
    """The schema's revision in a file that is whole. Raises BackupRefused for one that is damaged."""
    try:
        with closing(_open(path)) as connection:
            (found,) = connection.execute("PRAGMA integrity_check").fetchone()
            if found != "ok":
                raise BackupRefused(f"{path} is damaged: {found}")
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        return None  # no such table
    except sqlite3.DatabaseError as error:
        raise BackupRefused(f"{path} is damaged: {error}") from error
    return None if row is None else str(row[0])


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_BUSY_S)


def _copy(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    try:
        source.backup(target)
    except sqlite3.OperationalError as error:
        raise away(error) from error
