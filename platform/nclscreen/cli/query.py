"""`jobs`, `job`, `watch`, `flagged`, `show`: looking at what was submitted and found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.domain import JobId
from jobs.states import JobState
from jobs.verdicts import FlaggedQuery
from nclscreen.cli import output
from nclscreen.cli.progress import Attendance, follow
from nclscreen.documents import job_document
from nclscreen.wiring import wire

JobArgument = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def jobs(
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """List jobs, newest first."""
    found = wire().jobs.latest(limit)
    if as_json:
        output.print_json({"jobs": [job_document(job) for job in found]})
    elif found:
        output.out.print(output.jobs_table(found))
    else:
        output.err.print("there are no jobs yet; begin with: nclscreen screen FOLDER")


def job(job_id: JobArgument, as_json: Json = False) -> None:
    """Show one job."""
    wiring = wire()
    found = wiring.jobs.get(job_id)
    errors = wiring.verdicts.error_counts(found.id)
    if as_json:
        output.print_json(job_document(found) | {"error_codes": errors})
    else:
        output.out.print(output.job_grid(found, errors))


def watch(job_id: JobArgument, as_json: Json = False) -> None:
    """Follow a job until it is over; Ctrl-C ends the watching, not the job."""
    wiring = wire()
    known = wiring.jobs.get(job_id).id
    found = follow(wiring.jobs, known, Attendance(wiring.jobs, known))
    job(found.id, as_json)
    if found.state is not JobState.COMPLETED:
        raise typer.Exit(output.FAILED)


def flagged(
    job_id: Annotated[str | None, typer.Option("--job", metavar="ID", help="Only of this job.")] = None,
    min_score: Annotated[float | None, typer.Option(min=0, max=1, help="Only scores from this on.")] = None,
    prefix: Annotated[str | None, typer.Option(help="Only keys that begin with this.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many; 0 for all.")] = 100,
    as_json: Json = False,
) -> None:
    """List flagged images, highest score first."""
    wiring = wire()
    job_id = wiring.jobs.get(job_id).id if job_id is not None else None
    query = FlaggedQuery(
        job_id=JobId(job_id) if job_id else None, min_score=min_score, prefix=prefix, limit=limit or None
    )
    found = wiring.verdicts.flagged(query)
    if as_json:
        output.print_json_list("images", output.verdict_documents(found))
    else:
        output.out.print(output.flagged_table(found, with_job=job_id is None))


def show(
    key: Annotated[str, typer.Argument(help="The image's key, as `flagged` prints it.")],
    job_id: Annotated[str, typer.Option("--job", metavar="ID", help="The job it was screened in.")],
    out_file: Annotated[Path, typer.Option("--out", metavar="FILE.png", help="The picture to write.")],
) -> None:
    """Write a picture: the photograph beside its heatmap, on a fixed scale from 0 to 1."""
    from nclscreen.exhibit import write_exhibit

    wiring = wire()
    found = wiring.jobs.get(job_id)
    write_exhibit(wiring, found, wiring.verdicts.one(found.id, key), out_file)
    output.out.print(str(out_file), soft_wrap=True, markup=False)
