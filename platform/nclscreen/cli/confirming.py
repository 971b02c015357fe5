"""`confirm`, and what a person is shown before: how much there is to do, and how long that may take."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from jobs.domain import Job
from jobs.domain.states import JobState
from jobs.lifecycle.estimates import Speed
from nclscreen.cli import output
from nclscreen.cli.query import JobArgument, Json
from nclscreen.documents import job_document
from nclscreen.quantities import counted, duration_in_words, size_in_words
from nclscreen.services.estimates import estimate
from nclscreen.wiring import Wiring, wire

Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="With --confirm: show how much there is to do, and go on without asking.")
]


def confirm(job_id: JobArgument, as_json: Json = False) -> None:
    """Let a job go that was submitted with --confirm and is prepared; `cancel` drops it instead."""
    wiring = wire()
    tell(wiring, wiring.jobs.get(job_id))
    found = wiring.jobs.confirm(job_id)
    if as_json:
        output.print_json(job_document(found) | {"estimate": estimate(wiring, found).document})
    else:
        output.out.print(f"job {found.id} is {found.state.value}", soft_wrap=True)


def agreed(wiring: Wiring, job: Job, *, yes: bool) -> bool:
    """Show what a prepared job is about and ask, on a terminal; elsewhere say how it can be let go."""
    tell(wiring, job)
    if not yes:
        if sys.stdin.isatty() and output.err.is_terminal:
            try:
                yes = typer.confirm("screen these images?", default=False, err=True)
            except typer.Abort:
                raise KeyboardInterrupt from None  # Ctrl-C here is Ctrl-C anywhere
        if not yes:
            output.err.print(
                f"the job waits: let it go with 'nclscreen confirm {job.id}', and have it done by 'nclscreen up' or "
                f"'nclscreen screen --resume {job.id}'; drop it with 'nclscreen cancel {job.id}'"
            )
    return yes


def tell(wiring: Wiring, job: Job) -> None:
    """On standard error: count, bytes, estimate. Nothing for a job that does not wait for a person."""
    if job.state is JobState.AWAITING_CONFIRMATION:
        for line in summary(job, wiring.jobs.recent_speed(job.model.fingerprint)):
            output.err.print(line, markup=False)


def summary(job: Job, speed: Speed | None) -> list[str]:
    """What a person wants to know before saying yes, in lines."""
    found = job.found
    unsized = f" and {found.unsized:,} of unknown size" if found.unsized else ""
    left_out = [
        f"{count:,} {words}"
        for count, words in ((job.ignored, "files ignored"), (found.bad_lines, "bad lines left out"))
        if count
    ]
    lines = [
        f"job {job.id}: {counted(job.counts.total, 'image')}, {size_in_words(found.bytes)}{unsized}"
        + (f" ({', '.join(left_out)})" if left_out else "")
    ]
    if speed is None:
        return [*lines, "how long it takes is not known: no job with this model has been completed on this database"]
    took = duration_in_words(job.counts.total / speed.images_per_s)
    those = "the last job" if len(speed.job_ids) == 1 else f"the last {len(speed.job_ids)} jobs"
    return [*lines, f"about {took}, at {speed.images_per_s:.1f} images/s as in {those} with this model"]
