"""Claims on the queue, as its tests make them."""

from __future__ import annotations

from collections.abc import Collection

from support.builders import (
    FINGERPRINT,
    Bench,
    entries,
    ready_job,
)

from jobs.domain import JobId, Lease
from jobs.shards.work_queue import WorkQueue

LEASE_S = 60.0


def claim(
    queue: WorkQueue, limit: int = 100, *, job_id: JobId | None = None, resting: Collection[JobId] = ()
) -> list[Lease]:
    return queue.claim(limit, LEASE_S, fingerprints=[FINGERPRINT], job_id=job_id, resting=resting)


def claim_one(queue: WorkQueue) -> Lease:
    (lease,) = claim(queue, 1)
    return lease


def prepared(bench: Bench, images: int = 8, **fields: object) -> JobId:
    return ready_job(bench.engine, entries(images), **fields)
