"""Of which job this thread speaks now, for logs that machines read: whoever logs need not know how they are written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from jobs.domain import JobId

_job: ContextVar[JobId | None] = ContextVar("job", default=None)


@contextmanager
def about(job_id: JobId | None) -> Iterator[None]:
    """What is logged in the block is about this job; None: about none."""
    before = _job.set(job_id)
    try:
        yield
    finally:
        _job.reset(before)


def job_spoken_of() -> JobId | None:
    """The job of the innermost `about`."""
    return _job.get()
