"""Shards as rows: one for the queue, one for the manifest."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, insert

from jobs.domain import ImageRef, JobId
from jobs.domain.states import ShardState
from jobs.shards.entries import pack_entries
from jobs.sql.tables import shard_entries, shards


def insert_shard(connection: Connection, job_id: JobId, first_ordinal: int, entries: Sequence[ImageRef]) -> int:
    """Add one queued shard with its manifest; gives its id."""
    shard_id: int = connection.execute(
        insert(shards)
        .values(
            job_id=job_id,
            first_ordinal=first_ordinal,
            image_count=len(entries),
            state=ShardState.QUEUED.value,
        )
        .returning(shards.c.id)
    ).scalar_one()
    connection.execute(insert(shard_entries).values(shard_id=shard_id, entries=pack_entries(entries)))
    return shard_id
