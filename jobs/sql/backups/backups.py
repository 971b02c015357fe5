"""Taking a snapshot of a database beside the work, and putting one back where nobody works."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from sqlalchemy import Connection, Engine, inspect, select

from jobs.sql.at_work import at_work
from jobs.sql.backups import postgres_programs, sqlite_file
from jobs.sql.backups.errors import BackupRefused, DatabaseFilled, DatabaseInUse, FileInTheWay, OtherKind
from jobs.sql.database import reading
from jobs.sql.metadata import metadata
from jobs.sql.migrations.schema import SchemaStatus, schema_status, status_of_revision
from jobs.sql.rows import Clock, database_clock
from ncl_model.writing import replacing

_BEGINNINGS = {b"SQLite format 3\0": "sqlite", b"PGDMP": "postgresql"}
_CALLED = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Backup:
    """A file with everything of a database."""

    path: Path
    size: int
    #: the schema's, beside the program's
    schema: SchemaStatus


def snapshot(engine: Engine, path: Path, *, force: bool = False) -> Backup:
    """Everything at one moment as one checked file, beside the work; for this user's eyes alone.

    Raises BackupRefused, also for a file that is there unless `force`; SchemaTooNew, OutputUnwritable.
    """
    _check_free(path, force)
    if schema_status(engine).is_empty:
        raise BackupRefused("there is nothing to keep: the database has no tables")
    with replacing(path) as partial:
        partial.touch(0o600)
        _way_of(engine).take(engine, partial)
        found = _look(partial, engine)
    return Backup(path=path, size=found.size, schema=found.schema)


def restore(engine: Engine, path: Path, *, force: bool = False, clock: Clock = database_clock) -> Backup:
    """Have the database hold what the file holds, at once or not at all.

    Raises BackupRefused for a database with rows unless `force`, and for one on which somebody works; SchemaTooNew.
    """
    found = _look(path, engine)
    with reading(engine) as connection:
        filled = _check_replaceable(connection, force, clock)
    _way_of(engine).put_back(engine, path, filled)
    return found


def _way_of(engine: Engine) -> ModuleType:
    return sqlite_file if engine.dialect.name == "sqlite" else postgres_programs


def _check_free(path: Path, force: bool) -> None:
    if path.is_dir() or (path.exists() and not force):
        raise FileInTheWay(path, replaceable=not path.is_dir())


def _look(path: Path, engine: Engine) -> Backup:
    """What a file is; looked at as a whole."""
    try:
        with path.open("rb") as file:
            beginning = file.read(16)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise BackupRefused(f"cannot read {path}: {error.strerror}") from error
    kind = next((kind for begins, kind in _BEGINNINGS.items() if beginning.startswith(begins)), None)
    if kind is None:
        raise BackupRefused(f"{path} is no snapshot of a database")
    if kind != engine.dialect.name:
        raise OtherKind(path, _CALLED[kind], _CALLED[engine.dialect.name])
    revision = _way_of(engine).revision_in(path)
    if revision is None:
        raise BackupRefused(f"{path} holds no database of nclscreen")
    return Backup(path=path, size=size, schema=status_of_revision(revision))


def _check_replaceable(connection: Connection, force: bool, clock: Clock) -> bool:
    """Whether there are tables to be replaced. Raises BackupRefused."""
    there = set(inspect(connection).get_table_names())
    ours = [table for table in metadata.sorted_tables if table.name in there]
    filled = [table.name for table in ours if connection.execute(select(*table.primary_key).limit(1)).first()]
    if filled and not force:
        raise DatabaseFilled(filled[0])
    if len(ours) == len(metadata.sorted_tables) and (why := at_work(connection, clock)):
        raise DatabaseInUse(why)
    return bool(there)
