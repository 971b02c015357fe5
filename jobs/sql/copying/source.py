"""The database that is copied: nobody works on it, and nobody writes into it while it is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text

from jobs.errors import SchemaOutdated
from jobs.sql.at_work import at_work
from jobs.sql.copying.errors import CopyRefused, SourceInUse
from jobs.sql.database import writing
from jobs.sql.errors import DatabaseAway
from jobs.sql.metadata import metadata
from jobs.sql.migrations.schema import status_of
from jobs.sql.rows import Clock

#: who writes for longer than this is at work, too
_LOCK_TIMEOUT = "10s"


@contextmanager
def held_still(engine: Engine, clock: Clock) -> Iterator[Connection]:
    """One transaction that sees one state of everything: others may read meanwhile, and whoever writes waits.

    Raises SchemaOutdated, SchemaTooNew, CopyRefused and SourceInUse.
    """
    with writing(engine) as connection:
        schema = status_of(connection)
        if schema.is_empty:
            raise CopyRefused("there is nothing to copy: the database has no tables")
        if not schema.is_current:
            raise SchemaOutdated(str(schema.revision), schema.head)
        if engine.dialect.name == "postgresql":
            _lock(connection)
        if why := at_work(connection, clock):
            raise SourceInUse(why)
        yield connection


def _lock(connection: Connection) -> None:
    names = ", ".join(sorted(metadata.tables))
    connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
    try:
        # against writers, and against a second copy
        connection.execute(text(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE"))
    except DatabaseAway as error:
        if getattr(error.orig, "sqlstate", None) == "55P03":
            raise SourceInUse(["tables are being written to"]) from error
        raise
