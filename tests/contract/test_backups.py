"""A database as one file, and back, on both: at one moment, checked, never over what is there, never beside work."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, insert, text
from support.builders import Bench
from support.lived_in import contents, live_in
from support.servers.postgres import PostgresServer

from jobs.errors import SchemaTooNew
from jobs.registry.dispatchers import Dispatchers
from jobs.sql.backups import (
    BackupRefused,
    DatabaseFilled,
    DatabaseInUse,
    FileInTheWay,
    ProgramMissing,
    restore,
    snapshot,
)
from jobs.sql.database import create_database_engine, writing
from jobs.sql.tables import jobs, tallies


@pytest.fixture(autouse=True)
def programs(engine: Engine, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's own programs on the PATH, those of the server that runs."""
    if engine.dialect.name == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        monkeypatch.setenv("PATH", f"{server.programs}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kept.backup"


def test_what_was_kept_comes_back(bench: Bench, file: Path) -> None:
    lived = live_in(bench)
    before = contents(bench.engine)
    kept = snapshot(bench.engine, file)
    assert (kept.size, kept.schema.is_current) == (file.stat().st_size, True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in file.parent.glob("*backup*")] == ["kept.backup"]
    with writing(bench.engine) as connection:
        connection.execute(delete(jobs).where(jobs.c.id == lived.running))
        connection.execute(insert(tallies).values(name="later", count=1))
    with pytest.raises(DatabaseFilled, match=r"the database has rows, in .* replace everything"):
        restore(bench.engine, file, clock=bench.clock)
    assert contents(bench.engine) != before
    restore(bench.engine, file, force=True, clock=bench.clock)
    assert contents(bench.engine) == before


def test_an_empty_database_takes_it_without_a_word(
    bench: Bench, file: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    live_in(bench)
    snapshot(bench.engine, file)
    server = bench.engine.dialect.name == "postgresql"
    url = request.getfixturevalue("postgres_url") if server else f"sqlite:///{tmp_path / 'other.db'}"
    other = create_database_engine(url)
    restore(other, file)
    assert contents(other) == contents(bench.engine)
    other.dispose()


def test_a_file_that_is_there_stays(bench: Bench, file: Path) -> None:
    file.write_text("mine")
    with pytest.raises(FileInTheWay, match=r"is there already$"):
        snapshot(bench.engine, file)
    assert file.read_text() == "mine"
    snapshot(bench.engine, file, force=True)
    assert file.stat().st_size > 1000


def test_nothing_is_put_back_beside_work(bench: Bench, file: Path) -> None:
    live_in(bench)
    snapshot(bench.engine, file)
    Dispatchers(bench.engine, bench.clock).seen("desk-1", None)
    with pytest.raises(DatabaseInUse, match="desk-1 was seen within the last minute"):
        restore(bench.engine, file, force=True, clock=bench.clock)


def test_what_is_no_snapshot_or_a_newer_or_another_kind_s_is_refused(bench: Bench, file: Path) -> None:
    for contents_, why in (
        (b"hello", "is no snapshot of a database"),
        (b"PGDMP" if bench.engine.dialect.name == "sqlite" else b"SQLite format 3\0", "of its own kind"),
    ):
        file.write_bytes(contents_)
        with pytest.raises(BackupRefused, match=why):
            restore(bench.engine, file, force=True)
    with pytest.raises(BackupRefused, match="cannot read"):
        restore(bench.engine, file.with_name("missing"))
    file.unlink()
    head = snapshot(bench.engine, file).schema.head
    file.unlink()
    with writing(bench.engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        with pytest.raises(SchemaTooNew):
            snapshot(bench.engine, file)
    finally:
        with writing(bench.engine) as connection:
            connection.execute(text(f"UPDATE alembic_version SET version_num = '{head}'"))
    assert not file.exists()


def test_a_damaged_file_is_not_put_back(bench: Bench, file: Path) -> None:
    live_in(bench)
    snapshot(bench.engine, file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    before = contents(bench.engine)
    with pytest.raises(BackupRefused):
        restore(bench.engine, file, force=True, clock=bench.clock)
    assert contents(bench.engine) == before


def test_a_file_of_sqlite_that_is_not_ours_is_refused(sqlite_engine: Engine, file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE others (id INTEGER)")
    with pytest.raises(BackupRefused, match="holds no database of nclscreen"):
        restore(sqlite_engine, file)


@pytest.mark.postgres
def test_without_its_programs_the_command_is_told(
    postgres_engine: Engine, file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramMissing, match=r"pg_dump --format=custom .* --dbname=postgresql://"):
        snapshot(postgres_engine, file)
    assert list(tmp_path.glob("*.partial")) == [] == list(tmp_path.glob(".*"))
