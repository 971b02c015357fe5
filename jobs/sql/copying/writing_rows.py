"""Bringing rows into the target: those alone that are not there, and all of them or none."""

from __future__ import annotations

import psycopg
from sqlalchemy import Connection, Engine, Table, delete, tuple_

from jobs.outage import reason
from jobs.sql.copying.errors import CopyDiffers, CopyRefused
from jobs.sql.copying.portions import Portion, Values, key_of, read
from jobs.sql.database import writing
from jobs.sql.errors import Fault, away, fault_of


def bring(engine: Engine, portion: Portion, rows: list[Values]) -> int:
    """Have the target hold exactly these rows in this portion; gives how many were written.

    One transaction, which ends with reading what is there. Raises CopyDiffers.
    """
    table = portion.table
    with writing(engine) as connection:
        there = read(connection, portion)
        if there == rows:
            return 0
        known, wanted = set(there), set(rows)
        _delete(connection, portion, [key_of(table, row) for row in there if row not in wanted])
        missing = [row for row in rows if row not in known]
        _insert(connection, table, missing)
        if read(connection, portion) != rows:
            raise CopyDiffers(table.name)
    return len(missing)


def _delete(connection: Connection, portion: Portion, keys: list[Values]) -> None:
    """Rows that the source had before an earlier copy broke off, and has otherwise now."""
    if not keys:
        return
    columns = list(portion.table.primary_key.columns)
    lead = () if portion.job_id is None else (portion.job_id,)
    connection.execute(delete(portion.table).where(tuple_(*columns).in_([(*lead, *key) for key in keys])))


def _insert(connection: Connection, table: Table, rows: list[Values]) -> None:
    if not rows:
        return
    names = [f'"{column.name}"' for column in table.columns]
    if connection.dialect.name == "postgresql":
        _copy_in(connection, f'COPY "{table.name}" ({", ".join(names)}) FROM STDIN', table, rows)
        return
    places = ", ".join("?" for _ in names)
    # past SQLAlchemy's types: JSON is text already
    connection.exec_driver_sql(f'INSERT INTO "{table.name}" ({", ".join(names)}) VALUES ({places})', rows)  # noqa: S608


def _copy_in(connection: Connection, statement: str, table: Table, rows: list[Values]) -> None:
    try:
        with connection.connection.cursor() as cursor, cursor.copy(statement) as stream:  # type: ignore[attr-defined]
            for row in rows:
                stream.write_row(row)
    except psycopg.Error as error:
        if fault_of(error) is Fault.AWAY:
            raise away(error, statement) from error
        raise CopyRefused(f"the target does not take a row of {table.name}: {reason(error)}") from error
