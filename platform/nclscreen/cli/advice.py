"""What to type next: the errors of the layers below say what happened, the command line adds which command helps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jobs.domain import Job
from jobs.domain.states import JobState
from jobs.errors import (
    AmbiguousImage,
    JobNotFound,
    JobsError,
    SchemaOutdated,
    TokenReused,
    VerdictNotFound,
)
from nclscreen.services.health import WorkWaits
from nclscreen.services.report_writing import ReportUnwritable

_ADVICE: dict[type[JobsError], Callable[[Any], str | None]] = {
    JobNotFound: lambda error: "'nclscreen jobs' lists them",
    TokenReused: lambda error: f"look at it with 'nclscreen job {error.job_id}', or take a new token",
    VerdictNotFound: lambda error: f"'nclscreen flagged --job {error.job_id}' lists images",
    WorkWaits: lambda error: "work begins with: nclscreen up" if error.nobody_works else None,
    SchemaOutdated: lambda error: "bring it up to date with: nclscreen db upgrade",
    AmbiguousImage: lambda error: f"say which by its number: {error.job_id}/{error.candidates[0][0]}",
    ReportUnwritable: lambda error: (
        f"write it elsewhere with: nclscreen screen --resume {error.job_id} --report FOLDER"
    ),
}


def with_advice(error: BaseException, said: str | None = None) -> str:
    """The error's message, or what was `said` in its place, and what to type where a command helps."""
    advise = _ADVICE.get(type(error)) if isinstance(error, JobsError) else None
    advice = advise(error) if advise is not None else None
    told = str(error) if said is None else said
    return told if advice is None else f"{told}; {advice}"


def after_failure(job: Job) -> str | None:
    """What to type about a job that gave up; its error says why."""
    if job.state is not JobState.FAILED:
        return None
    if job.found.bad_lines:
        return "submit it again with --skip-bad-lines to go on without these lines"
    if job.ignored and not job.counts.total:
        return "ask for other endings with --suffix .ENDING, or for every name with --suffix '*'"
    if job.counts.failed and job.counts.done == job.counts.total:
        return f"once that is mended: nclscreen retry {job.id}"
    return None
