"""Bringing a database to the schema this program knows: Alembic, driven from the program.

An empty database gets everything in one transaction. A filled one on PostgreSQL is in use: each revision has a
transaction of its own that waits for no lock longer than half a second, and is tried again; indexes are built beside
the work. Whatever breaks off goes on where it was.
"""

from __future__ import annotations

import logging
from itertools import count

from alembic import command
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from jobs.errors import SchemaOutdated, SessionShared
from jobs.sql.database import writing
from jobs.sql.migrations.schema import SchemaStatus, alembic_config, schema_status, status_of
from jobs.sql.migrations.sessions import (
    Tell,
    Waiting,
    check_lock,
    shares_sessions,
    take_migrator_lock,
    try_transaction_lock,
)

logger = logging.getLogger(__name__)

#: writes queue up behind a lock that is waited for: no longer than this, in PostgreSQL's words
LOCK_TIMEOUT = "500ms"
_POLL_S = 0.5
_LONGEST_PAUSE_S = 10.0
#: lock_not_available, deadlock_detected: somebody was in the way
_IN_THE_WAY = frozenset({"55P03", "40P01"})


def prepare_database(engine: Engine, tell: Tell = logger.warning) -> None:
    """Make the schema current where nobody needs to be asked: in SQLite, and in an empty database.

    Raises SchemaOutdated where somebody does, SchemaTooNew.
    """
    status = schema_status(engine)
    if status.is_current:
        return
    if engine.dialect.name == "postgresql" and not status.is_empty:
        raise SchemaOutdated(str(status.revision), status.head)
    upgrade(engine, tell)


def upgrade(engine: Engine, tell: Tell = logger.warning) -> SchemaStatus:
    """Bring the schema to the newest revision; gives how it was before. Nothing happens when it is there.

    Raises SchemaTooNew, and SessionShared behind a pooler that deals out sessions, where one is needed.
    """
    before = schema_status(engine)
    if before.is_current:
        return before
    if engine.dialect.name != "postgresql" or before.is_empty:
        _in_one_transaction(engine, tell)
    else:
        _beside_the_work(engine, tell)
    return before


def _in_one_transaction(engine: Engine, tell: Tell) -> None:
    waited = Waiting(tell, "another program makes this database; waiting for it")
    while True:
        with writing(engine) as connection:
            if engine.dialect.name != "postgresql" or try_transaction_lock(connection):
                _apply(connection, "head", tell=tell, online=False)
                return
        waited.pause(_POLL_S)


def _beside_the_work(engine: Engine, tell: Tell) -> None:
    if shares_sessions(engine):
        raise SessionShared
    with engine.connect() as connection:
        try:
            take_migrator_lock(connection, tell)
            connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
            pending = status_of(connection).pending
            connection.commit()
            for revision in pending:
                tell(f"applying revision {revision}")
                _apply_patiently(connection, revision, tell)
        finally:
            connection.invalidate()  # its session ends, and the lock with it


def _apply_patiently(connection: Connection, revision: str, tell: Tell) -> None:
    waited = Waiting(tell, f"revision {revision} waits for a table that others use")
    for attempt in count():
        check_lock(connection)
        try:
            _apply(connection, revision, tell=tell, online=True)
            return
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in _IN_THE_WAY:
                raise
            connection.rollback()
        waited.pause(min(_LONGEST_PAUSE_S, 0.5 * 2**attempt))


def _apply(connection: Connection, revision: str, *, tell: Tell, online: bool) -> None:
    config = alembic_config()
    config.attributes.update(connection=connection, tell=tell, online=online)
    command.upgrade(config, revision)
