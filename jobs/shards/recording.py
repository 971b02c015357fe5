"""Verdicts on their way into SQL: many rows at a time, on PostgreSQL by COPY, which takes half the time of INSERT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import DBAPIError

from jobs.domain import JobId, Verdict
from jobs.sql.errors import Fault, away, fault_of
from jobs.sql.rows import Clock, verdicts_to_rows
from jobs.sql.tables import verdicts


def insert_verdicts(
    connection: Connection, job_id: JobId, results: Sequence[Verdict], clock: Clock, *, now: float | None = None
) -> None:
    """Add the verdicts of a job in the transaction of the caller. Raises SQLAlchemy's errors, also for COPY.

    `now`: what the clock has said in this transaction, for a caller who knows it.
    """
    rows = verdicts_to_rows(job_id, results)
    if not rows:
        return
    if connection.dialect.name != "postgresql":
        connection.execute(insert(verdicts).values(recorded_at=clock()), rows)
    else:
        if now is None:
            now = connection.execute(select(clock())).scalar_one()
        try:
            _copy(connection, rows, now)
        except psycopg.Error as error:
            # the driver's own call: SQLAlchemy did not see it, and its classes are what callers know
            if fault_of(error) is Fault.AWAY:
                raise away(error, "COPY verdicts") from error
            raise DBAPIError.instance(
                "COPY verdicts", None, error, psycopg.Error, dialect=connection.dialect
            ) from error


def _copy(connection: Connection, rows: Sequence[dict[str, Any]], recorded_at: float) -> None:
    driver: Any = connection.connection.driver_connection
    columns = ", ".join([*rows[0], "recorded_at"])  # names from our own table, not from outside
    with driver.cursor() as cursor, cursor.copy(f"COPY verdicts ({columns}) FROM STDIN") as copying:
        for row in rows:
            copying.write_row((*row.values(), recorded_at))
