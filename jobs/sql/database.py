"""Engines, transactions and the database's clock, for SQLite and PostgreSQL alike."""

from __future__ import annotations

import hashlib
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, Double, Engine, Text, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement, GenericFunction

from jobs.errors import JobsError
from jobs.sql.errors import sort_errors

_SQLITE_BUSY_S = 30
#: connections that are kept; a dispatcher at work has a dozen threads that may need one, and as many for a moment
_POOL = 10
_SWITCH_PAUSE_S = 0.01
_WHICH_DATABASE = (
    "SELECT system_identifier, oid FROM pg_control_system(), pg_database WHERE datname = current_database()"
)


class InvalidDatabaseUrl(JobsError):
    """The database URL cannot be used."""


class epoch_now(FunctionElement[float]):  # noqa: N801 - reads as the SQL function it is
    """The database's clock in seconds since the epoch: one clock for all workers, whatever their own say."""

    type = Double()
    inherit_cache = True
    name = "epoch_now"


@compiles(epoch_now, "sqlite")
def _epoch_now_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(epoch_now, "postgresql")
def _epoch_now_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    # clock_timestamp, not now(): a transaction that waited for a lock must see the time after the wait
    return "extract(epoch from clock_timestamp())::double precision"


class json_texts(GenericFunction[str]):  # noqa: N801 - reads as the SQL function it is
    """The texts of a JSON array as rows with one column, `value`."""

    type = Text()
    inherit_cache = True
    name = "json_texts"


@compiles(json_texts, "sqlite")
def _json_texts_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **kw)})"


@compiles(json_texts, "postgresql")
def _json_texts_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    return f"json_array_elements_text({compiler.process(element.clauses, **kw)})"


def create_database_engine(url: str) -> Engine:
    """An engine for a `sqlite:///file` or `postgresql+psycopg://` URL. Raises InvalidDatabaseUrl."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InvalidDatabaseUrl(f"cannot read the database URL: {error}") from None
    if "@" in (parsed.host or "") or "@" in (parsed.database or "").partition("?")[0]:
        # what stands behind the first one would be taken for the host, and told
        raise InvalidDatabaseUrl("cannot read the database URL: in a password, @ is written %40, / is %2F and : is %3A")
    backend = parsed.get_backend_name()
    if backend in ("postgresql", "postgres"):  # libpq takes either
        server = parsed.set(drivername="postgresql+psycopg")
        engine = create_engine(server, pool_pre_ping=True, pool_size=_POOL, max_overflow=_POOL)
        sort_errors(engine)
        event.listen(engine, "connect", _mind_poolers)
        return engine
    if backend != "sqlite":
        raise InvalidDatabaseUrl(f"cannot use {backend!r} as database: give a sqlite:/// or postgresql:// URL")
    engine = create_engine(parsed, connect_args={"timeout": _SQLITE_BUSY_S})
    sort_errors(engine)
    event.listen(engine, "connect", _prepare_sqlite_connection)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def database_identity(engine: Engine) -> str:
    """8 hex digits that tell this database from others, whichever way it is reached; for names on shared clusters.

    A file is known by its place on this machine; a database of a server by its number there and by the server's own,
    which is drawn when that is set up. A copy of a whole server is taken for the original.
    """
    if engine.dialect.name == "sqlite":
        place = f"{uuid.getnode()} {Path(engine.url.database or '').absolute().resolve()}"
    else:
        with reading(engine) as connection:
            place = " ".join(str(each) for each in connection.execute(text(_WHICH_DATABASE)).one())
    return hashlib.sha256(place.encode()).hexdigest()[:8]


def _mind_poolers(connection: Any, record: object) -> None:
    """Prepare no statements behind a pooler: the next transaction may be in another session, which knows none of them.

    A pooler names itself at the beginning (PgBouncer: a number of its own for cancelling), and PostgreSQL answers.
    """
    try:
        with connection.cursor() as cursor:
            (answered,) = cursor.execute("SELECT pg_backend_pid()").fetchone()
        connection.rollback()
    except psycopg.Error:
        return  # broken already: whoever uses it hears so
    if answered != connection.info.backend_pid:
        connection.prepare_threshold = None


def _prepare_sqlite_connection(connection: Any, record: object) -> None:
    connection.isolation_level = None  # the driver must not open transactions of its own
    _switch_to_wal(connection)
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _switch_to_wal(connection: Any) -> None:
    """Write-ahead logging, for good. SQLite's own patience does not cover the switch of a new file, so ours does."""
    deadline = time.monotonic() + _SQLITE_BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_SWITCH_PAUSE_S)  # another program switches the same file at this moment
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    # a writer that begins as a reader can fail half-way with "database is locked"; so it says at once that it writes
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that changes rows: committed at the end, rolled back on an exception."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One transaction that only reads: it sees one state of the database from begin to end on SQLite."""
    with engine.connect() as connection, connection.begin():
        yield connection
