"""The database that becomes the copy: empty at first, of no use to anybody while it is made, then like any other."""

from __future__ import annotations

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, inspect, select, text

from jobs.errors import UNFINISHED_COPY
from jobs.sql.copying.errors import CopyRefused
from jobs.sql.database import reading, writing
from jobs.sql.metadata import metadata
from jobs.sql.migrations import upgrade

_MARK = text("UPDATE alembic_version SET version_num = :revision")


def take(engine: Engine, source: str, head: str) -> bool:
    """Make the tables, and say of the database that it is the unfinished copy of `source`; gives whether it was before.

    Raises CopyRefused for a database with anything else in it.
    """
    mark = f"{UNFINISHED_COPY}{head}-{source}"
    with reading(engine) as connection:
        revision = MigrationContext.configure(connection).get_current_revision()
        if revision == mark:
            return True
        _check(connection, revision, head)
    if revision is None:
        upgrade(engine)
    with writing(engine) as connection:
        connection.execute(_MARK, {"revision": mark})
    return False


def _check(connection: Connection, revision: str | None, head: str) -> None:
    if revision is None:
        if tables := inspect(connection).get_table_names():
            raise CopyRefused(f"the target has tables of something else: {', '.join(sorted(tables)[:3])}")
        return
    if revision.startswith(UNFINISHED_COPY):
        raise CopyRefused(
            "the target is an unfinished copy of another database, or by another version; take an empty one"
        )
    if revision != head:
        raise CopyRefused(f"the target is at revision {revision}, {head} is needed; take an empty one")
    for table in metadata.sorted_tables:
        if connection.execute(select(table).limit(1)).first() is not None:
            raise CopyRefused(f"the target has rows of its own in {table.name}; take an empty one")


def finish(engine: Engine, head: str) -> None:
    """Everything is there: number what comes next behind it, and let it be used."""
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            _set_sequences(connection)
        connection.execute(_MARK, {"revision": head})
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))  # or the first questions are answered without any idea of the tables


def _set_sequences(connection: Connection) -> None:
    """SQLite numbers from the last row on; a sequence has to be told."""
    for table in metadata.sorted_tables:
        column = table.autoincrement_column
        if column is None:
            continue
        last = f"(SELECT max({column.name}) FROM {table.name})"  # noqa: S608 - our own names
        sequence = f"pg_get_serial_sequence('{table.name}', '{column.name}')"
        connection.execute(text(f"SELECT setval({sequence}, coalesce({last}, 1), {last} IS NOT NULL)"))
