"""What the databases say on bad days, sorted by who is to act."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, insert, text
from sqlalchemy.exc import DBAPIError
from support.builders import Bench

from jobs.sql.database import create_database_engine, reading, writing
from jobs.sql.errors import DATABASE_AWAY, DatabaseAway, Fault, fault_of
from jobs.sql.tables import jobs


@pytest.mark.parametrize(
    ("state", "fault"),
    [
        ("08006", Fault.AWAY),
        ("25006", Fault.AWAY),
        ("40001", Fault.AWAY),
        ("40P01", Fault.AWAY),
        ("53100", Fault.AWAY),
        ("53300", Fault.AWAY),
        ("55P03", Fault.AWAY),
        ("57014", Fault.AWAY),
        ("57P01", Fault.AWAY),
        ("57P03", Fault.AWAY),
        ("58030", Fault.AWAY),
        ("22003", Fault.DATA),
        ("22021", Fault.DATA),
        ("23505", Fault.DATA),
        ("23503", Fault.DATA),
        ("25P02", Fault.BUG),
        ("42P01", Fault.BUG),
        ("42501", Fault.BUG),
        ("XX000", Fault.BUG),
    ],
)
def test_postgresql_says_it_by_sqlstate(state: str, fault: Fault) -> None:
    assert fault_of(psycopg.errors.lookup(state)("said")) is fault


def test_a_server_that_was_not_there_gives_no_sqlstate(tmp_path: Path) -> None:
    engine = create_database_engine(f"postgresql:///nobody?host={tmp_path}")
    with pytest.raises(DATABASE_AWAY), reading(engine):
        pass


@pytest.mark.postgres
def test_a_server_that_is_read_only_is_waited_for(postgres_engine: Engine, bench_on_postgres: Bench) -> None:
    """psycopg's class for it is InternalError, as for a bug; every failover shows it for a moment."""
    bench_on_postgres.submit(3)
    with writing(postgres_engine) as connection:
        connection.execute(text("SET TRANSACTION READ ONLY"))
        with pytest.raises(DatabaseAway):
            connection.execute(text("UPDATE jobs SET priority = 1"))


def test_what_cannot_be_is_the_fault_of_the_data(engine: Engine) -> None:
    with pytest.raises(DBAPIError) as caught, writing(engine) as connection:
        connection.execute(insert(jobs).values(id=None))
    assert fault_of(caught.value) is Fault.DATA


def test_a_statement_that_makes_no_sense_is_a_bug_and_not_waited_for(engine: Engine) -> None:
    with pytest.raises(DBAPIError) as caught, reading(engine) as connection:
        connection.execute(text("SELECT * FROM nowhere"))
    assert not isinstance(caught.value, DATABASE_AWAY)
    assert fault_of(caught.value) is Fault.BUG


def test_a_file_that_another_program_writes_is_waited_for(sqlite_engine: Engine, sqlite_url: str) -> None:
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with sqlite_engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 1")
        with pytest.raises(DatabaseAway, match="locked"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
    other.close()


def test_what_is_no_error_of_a_database_is_a_bug() -> None:
    assert fault_of(ValueError("so")) is Fault.BUG


@pytest.fixture
def bench_on_postgres(postgres_engine: Engine) -> Bench:
    return Bench(postgres_engine)
