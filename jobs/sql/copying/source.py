"""The database that is copied: nobody works on it, and nobody writes into it while it is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, func, select, text

from jobs.errors import SchemaOutdated
from jobs.sql.copying.errors import CopyRefused, SourceInUse
from jobs.sql.database import writing
from jobs.sql.errors import DatabaseAway
from jobs.sql.metadata import metadata
from jobs.sql.migrations.schema import status_of
from jobs.sql.rows import Clock
from jobs.sql.tables import LEASED, dispatchers, leased_work, shards

#: a dispatcher that was seen within so many seconds may be at work; as `jobs.registry.dispatchers` has it
_SEEN_S = 60.0
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
        if why := _at_work(connection, clock):
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


def _at_work(connection: Connection, clock: Clock) -> list[str]:
    seen = select(dispatchers.c.name).where(dispatchers.c.seen_at >= clock() - _SEEN_S).order_by(dispatchers.c.name)
    why = [f"{name} was seen within the last minute" for name in connection.execute(seen).scalars()]
    for table, what in ((shards, "shards"), (leased_work, "pieces of slow work")):
        held = select(func.count()).where(table.c.state == LEASED, table.c.lease_expires_at >= clock())
        if count := connection.execute(held).scalar_one():
            why.append(f"{count:,} {what} are held")
    return why
