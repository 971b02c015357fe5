"""`pause`, `resume`, `prioritize`, `cancel`: what may be asked of a job after it was submitted."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.domain import Job
from jobs.domain.states import JobState
from nclscreen.cli import output
from nclscreen.cli.query import JobArgument, Json
from nclscreen.documents import job_document
from nclscreen.wiring import wire

_LARGEST = 1_000_000


def pause(job_id: JobArgument, as_json: Json = False) -> None:
    """Give out no more shards of a job; those under way are finished, and `resume` goes on.

    A job that is being prepared stops there; `resume` goes on from that place.
    """
    found = wire().jobs.pause(job_id)
    waiting = ", once the shards under way are finished" if found.state is JobState.PAUSING else ""
    _tell(found, as_json, f"job {found.id} is {found.state.value}{waiting}; go on with: nclscreen resume {found.id}")


def resume(job_id: JobArgument, as_json: Json = False) -> None:
    """Go on with a paused job."""
    found = wire().jobs.resume(job_id)
    _tell(found, as_json, f"job {found.id} is {found.state.value}")


def prioritize(
    job_id: JobArgument,
    priority: Annotated[
        int, typer.Argument(min=-_LARGEST, max=_LARGEST, help="Higher goes first; 0 is usual, -1 is below it.")
    ],
    as_json: Json = False,
) -> None:
    """Change the priority of a job, also while it runs; shards under way are finished."""
    found = wire().jobs.prioritize(job_id, priority)
    _tell(found, as_json, f"job {found.id} has priority {found.options.priority}")


def cancel(job_id: JobArgument, as_json: Json = False) -> None:
    """Stop a job; verdicts recorded so far are kept."""
    found = wire().jobs.cancel(job_id)
    _tell(found, as_json, f"job {found.id} is {found.state.value}")


def _tell(job: Job, as_json: bool, words: str) -> None:
    if as_json:
        output.print_json(job_document(job))
    else:
        output.out.print(words, soft_wrap=True)
