"""What revisions do to tables that are in use: indexes beside the work, rows a few at a time.

In an empty database and in SQLite it is done at once, in the transaction of the whole upgrade. Online each of these
commits what came before it in its revision: a revision with one of them must be one that may be begun again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op

from jobs.sql.migrations.upgrading import LOCK_TIMEOUT

#: rows of one transaction
_ROWS = 5000


def is_online() -> bool:
    """Whether others use the database meanwhile; so it is, too, where the statements are only written out."""
    config = op.get_context().config
    return is_written_out() or bool(config is not None and config.attributes.get("online", False))


def is_written_out() -> bool:
    """Whether there is no database, only a reader of the statements."""
    return op.get_context().as_sql


def create_index(name: str, table: str, columns: Sequence[str | sa.TextClause], *, where: str | None = None) -> None:
    """An index; what an earlier try left of it is removed."""
    condition = sa.text(where) if where is not None else None
    options: dict[str, Any] = {"sqlite_where": condition, "postgresql_where": condition} if where is not None else {}
    if not is_online():
        op.create_index(name, table, list(columns), unique=False, **options)
        return
    with _autocommit():
        op.drop_index(name, table, postgresql_concurrently=True, if_exists=True)
        op.create_index(
            name, table, list(columns), unique=False, if_not_exists=True, postgresql_concurrently=True, **options
        )


def add_columns(table: str, *columns: sa.Column[Any]) -> None:
    """New columns of one table, where a revision changes more than one.

    Whoever waits for a table while it keeps another one locked may wait for somebody who waits for that one: with
    writers that never pause, at every try. So online each table is a transaction of its own.
    """
    if not is_online():
        for column in columns:
            op.add_column(table, column)
        return
    with op.get_context().autocommit_block():
        for column in columns:
            op.add_column(table, column, if_not_exists=True)


def leave_room(table: str, *, fillfactor: int) -> None:
    """Fill pages with new rows up to so many percent, on PostgreSQL; what is there stays, and no writer waits for it.

    For one table of a revision, see `add_columns`.
    """
    if op.get_context().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE {table} SET (fillfactor = {fillfactor})")


def drop_index(name: str, table: str) -> None:
    """Remove an index, if it is still there."""
    if not is_online():
        op.drop_index(name, table, if_exists=True)
        return
    with _autocommit():
        op.drop_index(name, table, postgresql_concurrently=True, if_exists=True)


def fill(table: str, job_id: str, values: dict[str, Any], *, where: str) -> None:
    """Set columns that are null of a job's rows, a few thousand in a transaction; one row of each has an `ordinal`."""
    columns = ", ".join(f"{name} = :{name}" for name in values)
    missing = " AND ".join([f"job_id = :job_id AND {where}", *(f"{name} IS NULL" for name in values)])
    statement = f"UPDATE {table} SET {columns} WHERE {missing}"  # noqa: S608 - our own names
    if not is_online():
        op.get_bind().execute(sa.text(statement), {"job_id": job_id, **values})
        return
    with _autocommit():
        last = op.get_bind().execute(
            sa.text(f"SELECT max(ordinal) FROM {table} WHERE job_id = :job_id"),  # noqa: S608
            {"job_id": job_id},
        )
        for first in range(0, (last.scalar_one() or 0) + 1, _ROWS):
            some = f"{statement} AND ordinal >= :first AND ordinal < :behind"
            op.get_bind().execute(sa.text(some), {"job_id": job_id, "first": first, "behind": first + _ROWS, **values})


@contextmanager
def _autocommit() -> Iterator[None]:
    """No transaction, and as much time as it takes: nobody waits for what waits here."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        yield
        op.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
