"""What to type next: the errors of the layers below say what happened, the command line adds which command helps."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any

from jobs.domain import Job
from jobs.domain.corpus import OUTSIDE_FOLDER
from jobs.domain.states import JobState
from jobs.errors import (
    AmbiguousImage,
    CopyUnfinished,
    ErrorCode,
    JobNotFound,
    JobsError,
    SchemaOutdated,
    TokenReused,
    VerdictNotFound,
)
from jobs.sql.backups import DatabaseFilled, DatabaseInUse, FileInTheWay, OtherKind
from jobs.sql.copying import SourceInUse
from nclscreen.services.health import WorkWaits
from nclscreen.services.report_writing import ReportUnwritable

_ADVICE: dict[type[JobsError], Callable[[Any], str | None]] = {
    JobNotFound: lambda error: "'nclscreen jobs' lists them",
    TokenReused: lambda error: f"look at it with 'nclscreen job {error.job_id}', or take a new token",
    VerdictNotFound: lambda error: f"'nclscreen flagged --job {error.job_id}' lists images",
    WorkWaits: lambda error: "work begins with: nclscreen up" if error.nobody_works else None,
    SchemaOutdated: lambda error: "bring it up to date with: nclscreen db upgrade",
    CopyUnfinished: lambda error: "'nclscreen db copy' on that one goes on with it",
    SourceInUse: lambda error: "end 'nclscreen up', 'screen' and 'serve' first",
    DatabaseInUse: lambda error: "end 'nclscreen up' and 'serve' first",
    DatabaseFilled: lambda error: "to replace everything say --force",
    FileInTheWay: lambda error: f"take another name{', or replace it with --force' if error.replaceable else ''}",
    OtherKind: lambda error: "one is copied into another with: nclscreen db copy",
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


def about_bad_lines(reasons: str) -> str | None:
    """What to type where some of the reasons why lines of a list name no image can be lifted."""
    if OUTSIDE_FOLDER not in reasons:
        return None
    return "submit it again with --allow-outside to take files outside the folder of the list, if you trust it"


def after_failure(job: Job, errors: Mapping[str, int]) -> str | None:
    """What to type about a job that gave up; its error says why. `errors`: failed images by code."""
    if job.state is not JobState.FAILED:
        return None
    if job.found.bad_lines:
        skip = "submit it again with --skip-bad-lines to go on without these lines"
        allow = about_bad_lines(job.error or "")
        return skip if allow is None else f"{allow}; {skip}"
    if job.ignored and not job.counts.total:
        return "ask for other endings with --suffix .ENDING, or for every name with --suffix '*'"
    steps = [_about_code(job, max(errors, key=lambda code: errors[code]))] if errors else []
    if job.counts.failed and job.counts.done == job.counts.total:
        steps.append(f"once that is mended: nclscreen retry {job.id}")
    return "; ".join(step for step in steps if step) or None


def _about_code(job: Job, code: str) -> str | None:
    """What to type about images that failed with this code."""
    match code:
        case ErrorCode.TIMEOUT:
            return f"look at the storage with: nclscreen doctor --source {shlex.quote(job.source)}"
        case ErrorCode.ARCHIVED:
            return "--storage-class STANDARD, when it is submitted again, leaves archived objects out"
        case _:
            return None
