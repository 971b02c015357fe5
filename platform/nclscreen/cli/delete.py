"""`delete`: a job that is over, with its verdicts."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from jobs.domain import Job
from nclscreen.cli import output
from nclscreen.cli.query import JobArgument, Json
from nclscreen.quantities import counted
from nclscreen.services.deletion import delete_job
from nclscreen.wiring import wire


def delete(
    job_id: JobArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete a job that is over, with its verdicts, for good; after a kill a dispatcher goes on, or the same command.

    Heatmaps stay where they are, since later jobs may point to them. A job that runs is cancelled first.
    """
    wiring = wire()
    job = wiring.jobs.get(job_id)
    if not yes and not _agreed(job):
        raise typer.BadParameter("nothing was deleted; say --yes to delete without being asked")
    with output.err.status(f"deleting job {job.id}") as status:

        def progress(job: Job, done: int) -> None:
            status.update(f"deleting job {job.id}: {done:,} of {job.counts.done:,} verdicts")

        gone = delete_job(wiring, job.id, progress)
    if as_json:
        output.print_json(asdict(gone))
        return
    said = f"job {gone.job_id} is deleted, with {counted(gone.verdicts, 'verdict')}; heatmaps, if it had any, stay in"
    output.out.print(f"{said} {gone.heatmaps}", soft_wrap=True, markup=False)


def _agreed(job: Job) -> bool:
    if not (sys.stdin.isatty() and output.err.is_terminal):
        return False
    try:
        return typer.confirm(f"delete job {job.id} and its {counted(job.counts.done, 'verdict')} for good?", err=True)
    except typer.Abort:
        raise KeyboardInterrupt from None
