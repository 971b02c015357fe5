"""Conditions on texts from outside: what cannot be stored is nobody's, and PostgreSQL would not take the question."""

from __future__ import annotations

from sqlalchemy import ColumnElement, false, func, or_

from jobs.sql.tables import jobs
from jobs.stored_text import is_storable


def is_text(column: ColumnElement[str], value: str) -> ColumnElement[bool]:
    """Equal."""
    return column == value if is_storable(value) else false()


def begins_with(column: ColumnElement[str], value: str) -> ColumnElement[bool]:
    """Begins with exactly this; no character of it has a meaning of its own."""
    return func.substr(column, 1, len(value)) == value if is_storable(value) else false()


def model_is(said: str) -> ColumnElement[bool]:
    """The job's model has this name, or a fingerprint that begins so."""
    return or_(is_text(jobs.c.model_name, said), begins_with(jobs.c.model_fingerprint, said))
