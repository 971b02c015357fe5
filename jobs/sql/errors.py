"""What a database says, sorted by who is to act: it is away and waited for, the data are at fault, or the program is.

PostgreSQL says it by SQLSTATE (PostgreSQL manual, appendix A), SQLite by its result code (sqlite.org/rescode.html).
"""

from __future__ import annotations

import sqlite3
from enum import StrEnum

import psycopg
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout


class Fault(StrEnum):
    """Who is to act."""

    #: restarted, failed over, read-only for a while, full, too busy: the same again later
    AWAY = "away"
    #: a value or a row that cannot be: the same again gives the same
    DATA = "data"
    #: everything else: a statement, a schema or a right that is wrong
    BUG = "bug"


#: connections, read-only transactions, rolled-back transactions, resources, locks, an operator at work, the system
_AWAY_STATES = ("08", "25006", "25P03", "25P04", "40", "53", "55P03", "57", "58")
_DATA_STATES = ("22", "23")
_AWAY_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
_DATA_CODES = frozenset({sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG})


class DatabaseAway(OperationalError):
    """The database does not answer, or does nothing just now: whoever waits finds it as it was."""


#: what is waited for; every connection of the process in use counts too
DATABASE_AWAY = (DatabaseAway, PoolTimeout)


def fault_of(error: BaseException) -> Fault:
    """Of an error of SQLAlchemy's or a driver's; whatever is no error of a database is a bug."""
    if isinstance(error, DATABASE_AWAY):
        return Fault.AWAY
    said = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(said, psycopg.Error):
        return _of_postgresql(said)
    if isinstance(said, sqlite3.Error):
        return _of_sqlite(said)
    return Fault.BUG


def _of_postgresql(error: psycopg.Error) -> Fault:
    if error.sqlstate is None:  # said by the driver: the server was not there to give one
        return Fault.AWAY if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) else Fault.BUG
    if error.sqlstate.startswith(_AWAY_STATES):
        return Fault.AWAY
    return Fault.DATA if error.sqlstate.startswith(_DATA_STATES) else Fault.BUG


def _of_sqlite(error: sqlite3.Error) -> Fault:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the rest only says more exactly why
    if code in _AWAY_CODES:
        return Fault.AWAY
    return Fault.DATA if code in _DATA_CODES else Fault.BUG


def away(error: psycopg.Error | sqlite3.Error, statement: str | None = None) -> DatabaseAway:
    """A driver's error as the one that is waited for."""
    return DatabaseAway(statement, None, error)


def sort_errors(engine: Engine) -> None:
    """Have the engine raise DatabaseAway for whatever means it, whichever class the driver chose."""
    event.listen(engine, "handle_error", _sorted, retval=True)


def _sorted(context: ExceptionContext) -> BaseException | None:
    error = context.original_exception
    if isinstance(error, psycopg.Error | sqlite3.Error) and fault_of(error) is Fault.AWAY:
        return away(error, context.statement)
    return None
