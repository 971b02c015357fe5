"""`jobs`, `job`, `watch`, `flagged`, `show`: looking at what was submitted and found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.domain import Job, JobId, ManifestProblem
from jobs.domain.states import JobState
from jobs.verdicts import FlaggedQuery
from nclscreen.cli import output
from nclscreen.cli.progress import Attendance, follow
from nclscreen.documents import job_document
from nclscreen.services.job_view import job_view
from nclscreen.visible_text import visible_text
from nclscreen.wiring import wire

JobArgument = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]

#: rows that may be asked for: databases count no further than 2**63
_MOST = 1_000_000_000


def jobs(
    limit: Annotated[int, typer.Option(min=1, max=_MOST, help="How many, newest first.")] = 20,
    tag: Annotated[str | None, typer.Option(help="Only jobs with this tag.")] = None,
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.")] = None,
    name: Annotated[str | None, typer.Option(help="Only jobs whose name contains this, any case.")] = None,
    as_json: Json = False,
) -> None:
    """List jobs, newest first."""
    found = wire().jobs.latest(limit, tag=tag, state=state, name=name)
    if as_json:
        output.print_json({"jobs": [job_document(job) for job in found]})
    elif found:
        output.out.print(output.jobs_table(found))
    elif tag is not None or state is not None or name is not None:
        output.err.print("no job is like that; 'nclscreen jobs' lists all")
    else:
        output.err.print("there are no jobs yet; begin with: nclscreen screen FOLDER")


def job(
    job_id: JobArgument,
    problems: Annotated[
        bool, typer.Option("--problems", help="Show the lines of its list that name no image, up to 1000.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show one job."""
    wiring = wire()
    if problems:
        found = wiring.jobs.get(job_id)
        show_problems(found, wiring.jobs.problems(found.id), as_json)
        return
    view = job_view(wiring, job_id)
    if as_json:
        output.print_json(view.document)
        return
    output.out.print(output.job_grid(view.job, view.error_codes, view.waits_for))
    if (told := view.webhook) is not None:
        said = f"{told.delivered:,} delivered, {told.waiting:,} waiting, {told.given_up:,} given up"
        output.out.print(output.visible(f"webhook    {said}{f': {told.error}' if told.error else ''}"))


def show_problems(job: Job, problems: list[ManifestProblem], as_json: bool) -> None:
    """The bad lines of a manifest, as many as were kept."""
    if as_json:
        lines = [{"line": problem.line, "reason": problem.reason} for problem in problems]
        output.print_json({"id": job.id, "bad_lines": job.found.bad_lines, "problems": lines, "error": job.error})
        return
    for problem in problems:
        output.out.print(f"line {problem.line}: {visible_text(problem.reason)}", markup=False, soft_wrap=True)
    if not problems and job.error:
        output.err.print(f"no line is at fault by itself: {visible_text(job.error)}", markup=False)
    elif not problems:
        output.err.print(f"every line that was read of {visible_text(job.source)} names an image", markup=False)
    elif job.found.bad_lines > len(problems):
        output.err.print(f"... and {job.found.bad_lines - len(problems):,} more")


def watch(job_id: JobArgument, as_json: Json = False) -> None:
    """Follow a job until it is over; Ctrl-C ends the watching, not the job."""
    wiring = wire()
    known = wiring.jobs.get(job_id).id
    found = follow(wiring.jobs, known, Attendance(wiring.jobs, known))
    job(found.id, as_json=as_json)
    if found.state is not JobState.COMPLETED:
        raise typer.Exit(output.FAILED)


def flagged(
    job_id: Annotated[str | None, typer.Option("--job", metavar="ID", help="Only of this job.")] = None,
    min_score: Annotated[float | None, typer.Option(min=0, max=1, help="Only scores from this on.")] = None,
    prefix: Annotated[str | None, typer.Option(help="Only keys that begin with this.")] = None,
    limit: Annotated[int, typer.Option(min=0, max=_MOST, help="At most so many; 0 for all.")] = 100,
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
    from nclscreen.services.comparison_picture import NoPicture, comparison_picture

    wiring = wire()
    found = wiring.jobs.get(job_id)
    picture = comparison_picture(wiring, found, wiring.verdicts.one(found.id, key))
    try:
        out_file.parent.mkdir(parents=True, exist_ok=True)
        picture.save(out_file, format="PNG")
    except OSError as error:
        raise NoPicture(f"cannot write {out_file}: {error.strerror or error}") from None
    output.out.print(str(out_file), soft_wrap=True, markup=False)
