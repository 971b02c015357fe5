"""One database of each kind: empty, or at the current schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete
from support.builders import Bench
from support.empty_databases import empty_database
from support.servers.postgres import PostgresServer

from jobs.sql.database import create_database_engine, writing
from jobs.sql.migrations import upgrade
from jobs.sql.tables import metadata

BACKENDS = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(params=BACKENDS)
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, without tables."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture(scope="session")
def shared_postgres(postgres_server: PostgresServer) -> Iterator[Engine]:
    """One PostgreSQL database for many tests: making one for each would take longer than the tests."""
    url = postgres_server.create_database()
    engine = create_database_engine(url)
    upgrade(engine)
    yield engine
    engine.dispose()
    postgres_server.start()
    postgres_server.drop_database(url)


@pytest.fixture
def postgres_engine(postgres_server: PostgresServer, shared_postgres: Engine) -> Iterator[Engine]:
    """PostgreSQL at the current schema, without rows."""
    postgres_server.start()  # a test before this one may have left it stopped
    shared_postgres.dispose()
    yield shared_postgres
    with writing(shared_postgres) as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(delete(table))


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> Iterator[Engine]:
    """SQLite at the current schema, without rows."""
    engine = empty_database(tmp_path / "nclscreen.db")
    yield engine
    engine.dispose()


@pytest.fixture(params=BACKENDS)
def engine(request: pytest.FixtureRequest) -> Engine:
    """A database at the current schema, without rows."""
    found: Engine = request.getfixturevalue(f"{request.param}_engine")
    return found


@pytest.fixture
def bench(engine: Engine) -> Bench:
    return Bench(engine)
