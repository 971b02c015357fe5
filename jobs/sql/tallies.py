"""What happened how often, counted in the transactions in which it happens: for counters that never fall.

Rows are few, and what is counted is rare (a retry, a deletion), so that nobody waits long for the row of another.
Whoever counts does so last in its transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from sqlalchemy import Connection, select, text

from jobs.sql.tables import tallies

#: the kind of work that a shard is, beside those of `jobs.domain.WorkKind`
SHARD = "shard"
_UPSERT = text(
    "INSERT INTO tallies (name, count) VALUES (:name, :more)"
    " ON CONFLICT (name) DO UPDATE SET count = tallies.count + excluded.count"
)


class Retry(StrEnum):
    """Why a shard, or a piece of slow work, was taken from whoever had it."""

    #: its lease ran out: nobody was heard of any more
    EXPIRED = "expired"
    #: its process died, or made no progress for too long
    VANISHED = "vanished"
    #: it went wrong on its own account
    FAILED = "failed"


def note_retries(connection: Connection, kind: str, why: Retry, count: int = 1) -> None:
    """So many pieces of work of this kind (`SHARD`, a `WorkKind`) were taken back, or failed."""
    _add(connection, f"retry/{kind}/{why.value}", count)


def note_deleted(connection: Connection, images: Mapping[str, int]) -> None:
    """Images whose verdicts were deleted with their job, by outcome."""
    for outcome, count in sorted(images.items()):
        _add(connection, deleted_images(outcome), count)


def deleted_images(outcome: str) -> str:
    """The name under which images of deleted jobs are counted."""
    return f"deleted/{outcome}"


def retries(connection: Connection, kinds: Iterable[str]) -> dict[tuple[str, str], int]:
    """By kind and reason; those of which there was none are 0."""
    found = {name: int(count) for name, count in connection.execute(select(tallies.c.name, tallies.c.count))}
    return {(kind, why.value): found.get(f"retry/{kind}/{why.value}", 0) for kind in kinds for why in Retry}


def _add(connection: Connection, name: str, count: int) -> None:
    if count:
        connection.execute(_UPSERT, {"name": name, "more": count})
