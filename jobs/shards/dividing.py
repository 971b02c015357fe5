"""A shard that was tried in vain: again after a while, in two halves when it was tried often enough, or set aside.

Attempts that failed on their own account and workers that were never heard of again are counted apart. Either limit
divides: one image may be at fault, by killing its worker, say. The halves get one more try of that kind each, and so on
until the culprit stands alone. Only that one is set aside, with an error code.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, literal, select, update

from jobs.domain import Fingerprint, ImageRef, JobId
from jobs.domain.shards import MAX_ATTEMPTS
from jobs.domain.states import ShardState
from jobs.domain.verdicts import failed_verdict
from jobs.errors import ErrorCode
from jobs.shards.accounting import record_verdicts
from jobs.shards.entries import pack_entries, unpack_entries
from jobs.shards.shard_rows import insert_shard
from jobs.sql.rows import Clock
from jobs.sql.tables import jobs, shard_entries, shards
from jobs.stored_text import storable

#: workers that vanished with a shard; dispatchers are stopped and killed for reasons that lie elsewhere
MAX_VANISHED = 10


def try_again(
    connection: Connection, row: Row[Any], clock: Clock, reason: str, *, attempt: int, vanished: int, pause_s: float
) -> None:
    """Queue a leased shard, whose row is locked, with its new counts; or divide it, or set it aside."""
    again: dict[str, Any] = {
        "state": ShardState.QUEUED.value,
        "lease_expires_at": None,
        "started": False,
        "error": storable(reason),
        "attempt": attempt,
        "vanished": vanished,
    }
    if attempt < MAX_ATTEMPTS and vanished < MAX_VANISHED:
        again["not_before"] = clock() + literal(pause_s)
    elif row.image_count > 1:
        once_more = {"attempt": min(attempt, MAX_ATTEMPTS - 1), "vanished": min(vanished, MAX_VANISHED - 1)}
        _split(connection, row, once_more)
        again |= {"image_count": row.image_count // 2, **once_more}
    else:
        _set_aside(connection, row, clock, reason, attempt + vanished)
        return
    connection.execute(update(shards).where(shards.c.id == row.id).values(**again))


def _split(connection: Connection, row: Row[Any], counts: dict[str, int]) -> None:
    """Keep the first half in the shard, put the second into a new one."""
    entries = _entries(connection, row.id)
    half = row.image_count // 2
    connection.execute(
        update(shard_entries).where(shard_entries.c.shard_id == row.id).values(entries=pack_entries(entries[:half]))
    )
    second = insert_shard(connection, JobId(row.job_id), row.first_ordinal + half, entries[half:])
    connection.execute(update(shards).where(shards.c.id == second).values(**counts))


def _set_aside(connection: Connection, row: Row[Any], clock: Clock, reason: str, tries: int) -> None:
    """Give up on the shard, but not on the accounting: each of its images gets an error code."""
    connection.execute(
        update(shards)
        .where(shards.c.id == row.id)
        .values(state=ShardState.FAILED.value, lease_expires_at=None, error=storable(reason))
    )
    pinned = connection.execute(select(jobs.c.model_fingerprint).where(jobs.c.id == row.job_id)).scalar_one()
    fingerprint = Fingerprint(pinned)
    message = f"set aside after {tries} attempts: {reason}"
    failed = [
        failed_verdict(entry, row.first_ordinal + i, fingerprint, ErrorCode.MODEL_ERROR, message)
        for i, entry in enumerate(_entries(connection, row.id))
    ]
    record_verdicts(connection, JobId(row.job_id), failed, clock)


def _entries(connection: Connection, shard_id: int) -> tuple[ImageRef, ...]:
    packed = select(shard_entries.c.entries).where(shard_entries.c.shard_id == shard_id)
    return unpack_entries(connection.execute(packed).scalar_one())
