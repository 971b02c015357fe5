"""A job as it changes, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from fastapi.sse import ServerSentEvent
from starlette.concurrency import run_in_threadpool

from jobs.domain import Job, JobId
from jobs.domain.states import FINAL
from jobs.errors import JobNotFound
from jobs.sql.errors import DATABASE_AWAY
from nclscreen.documents import job_document
from nclscreen.wiring import Wiring

#: between two looks at the database
LOOK_S = 1.0


async def job_events(
    wiring: Wiring, job_id: JobId, gone: Callable[[], Awaitable[bool]], seen: str | None
) -> AsyncIterator[ServerSentEvent]:
    """An event `job` for each change, and one `end` when the job is over or deleted; `seen`: the last id that arrived.

    While the database is away nothing is said; `gone` tells whether anybody listens still.
    """
    while not await gone():
        try:
            job = await run_in_threadpool(wiring.jobs.get, job_id)
        except JobNotFound:
            yield ServerSentEvent(event="end", data={"id": job_id, "state": "deleted"})
            return
        except DATABASE_AWAY:
            await asyncio.sleep(LOOK_S)
            continue
        if (mark := _mark(job)) != seen:
            seen = mark
            yield ServerSentEvent(event="job", id=mark, data=job_document(job))
        if job.state in FINAL:
            yield ServerSentEvent(event="end", id=mark, data={"id": job_id, "state": job.state.value})
            return
        await asyncio.sleep(LOOK_S)


def _mark(job: Job) -> str:
    """The same for a job that nothing happened to."""
    counts = job.counts
    done = (counts.total, counts.scored, counts.flagged, counts.failed, job.found.seen)
    return ".".join([job.state.value, *map(str, done), str(job.options.priority)])
