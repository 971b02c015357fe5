"""Rows of one table between two keys, in the same order and in the same form on both databases."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    LargeBinary,
    String,
    Table,
    Text,
    cast,
    collate,
    literal,
    select,
    tuple_,
)

#: a row as it is compared and written: JSON is the text it is kept as
Values = tuple[Any, ...]

#: rows that are read at once; fewer where each may be a picture or a manifest
_ROWS = 2000
_LARGE_ROWS = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Portion:
    """Some rows that follow each other."""

    table: Table
    #: the job they belong to, in tables whose key begins with one
    job_id: str | None
    #: the last key before them, and the last one that may be among them; None: there is none
    after: Values | None = None
    upto: Values | None = None


def rows_at_once(table: Table) -> int:
    """How many rows of the table are held in memory."""
    large = isinstance(list(table.columns)[-1].type, LargeBinary)
    return _LARGE_ROWS if large else _ROWS


def job_ids(connection: Connection, table: Table) -> Iterable[str | None]:
    """By what the table is walked: job by job, where its key begins with the job; otherwise as a whole."""
    if not _is_by_job(table):
        return [None]
    return sorted(connection.execute(select(table.c.job_id).distinct()).scalars())


def walk(connection: Connection, table: Table, job_id: str | None) -> Iterator[tuple[Portion, list[Values]]]:
    """The rows in the order of their keys, portion by portion; the last one reaches to the end of the table."""
    limit, portion = rows_at_once(table), Portion(table=table, job_id=job_id)
    while True:
        rows = read(connection, portion, limit)
        if len(rows) < limit:
            yield portion, rows
            return
        last = key_of(table, rows[-1])
        yield replace(portion, upto=last), rows
        portion = replace(portion, after=last)


def read(connection: Connection, portion: Portion, limit: int | None = None) -> list[Values]:
    """The rows of a portion, in the order of their keys."""
    order = [_ordered(connection, column) for column in _walked(portion.table)]
    wanted = select(*(_plain(column) for column in portion.table.columns)).order_by(*order).limit(limit)
    if portion.job_id is not None:
        wanted = wanted.where(portion.table.c.job_id == portion.job_id)
    if portion.after is not None:
        wanted = wanted.where(tuple_(*order) > _bound(portion, portion.after))
    if portion.upto is not None:
        wanted = wanted.where(tuple_(*order) <= _bound(portion, portion.upto))
    return [tuple(row) for row in connection.execute(wanted)]


def key_of(table: Table, row: Values) -> Values:
    """What tells the row from the others of its portion's job, or of its table."""
    places = {column.name: place for place, column in enumerate(table.columns)}
    return tuple(row[places[column.name]] for column in _walked(table))


def row_digest(row: Values) -> bytes:
    """The same for the same values, whichever database they come from: both drivers give the same Python values."""
    return hashlib.sha256(repr(row).encode("utf-8", "surrogatepass")).digest()


def _is_by_job(table: Table) -> bool:
    keys = list(table.primary_key.columns)
    return len(keys) > 1 and keys[0].name == "job_id"


def _walked(table: Table) -> list[Column[Any]]:
    keys = list(table.primary_key.columns)
    return keys[1:] if _is_by_job(table) else keys


def _ordered(connection: Connection, column: Column[Any]) -> ColumnElement[Any]:
    """Texts by their bytes: SQLite's order, and nobody's language."""
    if connection.dialect.name == "postgresql" and isinstance(column.type, String):
        return collate(column, "C")
    return column


def _plain(column: Column[Any]) -> ColumnElement[Any]:
    return cast(column, Text).label(column.name) if isinstance(column.type, JSON) else column


def _bound(portion: Portion, key: Values) -> ColumnElement[Any]:
    columns = _walked(portion.table)
    return tuple_(*(literal(value, column.type) for value, column in zip(key, columns, strict=True)))
