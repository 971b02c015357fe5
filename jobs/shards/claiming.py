"""Whose turn it is: waiting shards by priority, and in turns among jobs of equal priority."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from itertools import groupby, islice
from typing import NamedTuple

from sqlalchemy import BindParameter, Connection, bindparam, select

from jobs.domain import Fingerprint, JobId
from jobs.domain.states import CLAIMABLE, JobState
from jobs.sql.rows import Clock
from jobs.sql.tables import QUEUED, jobs, shards

# written out, so that both databases see that the partial indexes fit, letter for letter
_OPEN: BindParameter[list[JobState]] = bindparam("open", sorted(CLAIMABLE), expanding=True, literal_execute=True)
#: jobs looked at beyond the shards asked for, before more are read
_PAGE = 32


def find_waiting_shards(
    connection: Connection,
    limit: int,
    fingerprints: Collection[Fingerprint],
    clock: Clock,
    only: JobId | None,
    resting: Collection[JobId] = (),
    *,
    lock: bool = False,
) -> dict[JobId, list[int]]:
    """Ids of up to `limit` shards of jobs pinned to these models that may be leased, by job.

    `lock` locks them on PostgreSQL, passing over those that others have locked.

    Jobs of higher priority come first. Among equals those go first that had none for the longest time, and what is
    free is shared out evenly. A look per job is answered from the index, unsorted; no more jobs are looked at than
    are needed, however many wait. `resting` jobs are passed over.
    """
    found: dict[JobId, list[int]] = {}
    free = limit
    open_jobs = _open_jobs(connection, fingerprints, only, limit + _PAGE)
    for _, equals in groupby(open_jobs, key=lambda job: job.priority):
        while page := [job.id for job in islice(equals, limit + _PAGE)]:
            awake = [job_id for job_id in page if job_id not in resting]
            free -= _share_out(connection, awake, free, clock, found, lock=lock)
            if free == 0:
                return found
    return found


class _OpenJob(NamedTuple):
    """A job that may be claimed from; the first in order is the first whose turn it is."""

    before: int  # minus its priority
    claimed_at: float
    id: JobId

    @property
    def priority(self) -> int:
        return -self.before


def _open_jobs(
    connection: Connection, fingerprints: Collection[Fingerprint], only: JobId | None, page_size: int
) -> Iterator[_OpenJob]:
    """Jobs that may be claimed from, in the order of their turn, whatever their model.

    The index leads with the model, so each model's jobs are read in order and merged here.
    """
    return heapq.merge(*(_of_model(connection, each, only, page_size) for each in sorted(fingerprints)))


def _of_model(
    connection: Connection, fingerprint: Fingerprint, only: JobId | None, page_size: int
) -> Iterator[_OpenJob]:
    """Those of one model, read a page at a time."""
    wanted = (
        select(jobs.c.id, jobs.c.priority, jobs.c.claimed_at)
        .where(jobs.c.state.in_(_OPEN), jobs.c.model_fingerprint == fingerprint)
        .order_by(jobs.c.priority.desc(), jobs.c.claimed_at, jobs.c.id)
        .limit(page_size)
    )
    if only is not None:
        wanted = wanted.where(jobs.c.id == only)
    offset = 0
    while page := connection.execute(wanted.offset(offset)).all():
        yield from (_OpenJob(-row.priority, row.claimed_at, JobId(row.id)) for row in page)
        if len(page) < page_size:
            return
        offset += page_size


def _share_out(
    connection: Connection, equals: list[JobId], free: int, clock: Clock, found: dict[JobId, list[int]], *, lock: bool
) -> int:
    """Give out up to `free` shards to jobs of equal priority, in rounds; what one has no use for goes to the others."""
    given = 0
    after: dict[JobId, int] = {}
    while equals and given < free:
        hungry = []
        for position, job_id in enumerate(equals):
            share = -(-(free - given) // (len(equals) - position))
            waiting = (
                select(shards.c.id, shards.c.first_ordinal)
                .where(shards.c.job_id == job_id, shards.c.state == QUEUED, shards.c.not_before <= clock())
                .where(shards.c.first_ordinal > after.get(job_id, -1))
                .order_by(shards.c.first_ordinal)
                .limit(share)
            )
            if lock:
                waiting = waiting.with_for_update(skip_locked=True)
            if rows := connection.execute(waiting).all():
                found.setdefault(job_id, []).extend(row.id for row in rows)
                after[job_id] = rows[-1].first_ordinal
                given += len(rows)
            if len(rows) == share:
                hungry.append(job_id)
            if given == free:
                break
        equals = hungry
    return given
