"""Everything of one database into another: table by table, portion by portion, each compared after it was written.

What broke off is begun again and goes on: portions that are there already are only compared. The target says in its
revision that it is unfinished, so that nobody works on half of everything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Table, func, select

from jobs.sql.copying import source, target
from jobs.sql.copying.errors import CopyRefused
from jobs.sql.copying.portions import job_ids, row_digest, walk
from jobs.sql.copying.writing_rows import bring
from jobs.sql.database import database_identity, reading
from jobs.sql.metadata import metadata
from jobs.sql.migrations import schema_status
from jobs.sql.rows import Clock, database_clock

#: hears the table, and how many of its rows are there of how many
Told = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class TableCopied:
    """One table, the same in both."""

    name: str
    rows: int
    #: of them by this copy; the others were there from one that broke off
    written: int
    #: over all its rows in the order of their keys, equal in both
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Copied:
    """What was copied."""

    #: whether an earlier copy had broken off
    resumed: bool
    tables: tuple[TableCopied, ...]


def copy_database(
    origin: Engine, copy: Engine, told: Told = lambda *said: None, clock: Clock = database_clock
) -> Copied:
    """Have the empty database `copy` hold what `origin` holds, work under way included; killed, the next call goes on.

    Raises CopyRefused, SourceInUse and SchemaOutdated before anything is written, CopyDiffers, SchemaTooNew, and one of
    DATABASE_AWAY.
    """
    name = database_identity(origin)
    if origin.dialect.name == copy.dialect.name and name == database_identity(copy):
        raise CopyRefused("source and target are the same database")
    head = schema_status(origin).head
    with source.held_still(origin, clock) as connection:
        resumed = target.take(copy, name, head)
        tables = tuple(_copy_table(connection, copy, table, told) for table in metadata.sorted_tables)
        target.finish(copy, head)
    return Copied(resumed=resumed, tables=tables)


def _copy_table(connection: Connection, copy: Engine, table: Table, told: Told) -> TableCopied:
    total = connection.execute(select(func.count()).select_from(table)).scalar_one()
    rows = written = 0
    digest = hashlib.sha256()
    for job_id in _job_ids_of_both(connection, copy, table):
        for portion, some in walk(connection, table, job_id):
            written += bring(copy, portion, some)
            rows += len(some)
            for row in some:
                digest.update(row_digest(row))
            told(table.name, rows, total)
    return TableCopied(name=table.name, rows=rows, written=written, sha256=digest.hexdigest())


def _job_ids_of_both(connection: Connection, copy: Engine, table: Table) -> Iterable[str | None]:
    """Those of the target, too: a job may have been deleted since an earlier copy broke off."""
    with reading(copy) as there:
        return sorted({*job_ids(connection, table), *job_ids(there, table)}, key=str)
