"""`jobs`, `job`, `watch`, `flagged`, `show`: looking at what was submitted and found."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from jobs.domain import Job, ManifestProblem
from jobs.domain.states import JobState
from jobs.lifecycle.job_filters import JobFilter
from jobs.verdicts import VerdictFilter
from nclscreen.cli import output
from nclscreen.cli.advice import about_bad_lines
from nclscreen.cli.job_list import print_jobs
from nclscreen.cli.progress import Attendance, SlownessNotice, follow
from nclscreen.cli.ranking import mixed_scores, print_ranking, tell_nothing
from nclscreen.cli.verdict_options import (
    Container,
    Image,
    MaxScore,
    MinArea,
    MinScore,
    Model,
    OfCase,
    OfJob,
    Prefix,
    Reviewed,
    Signal,
    named_image,
)
from nclscreen.documents import job_document, verdict_document
from nclscreen.quantities import moment
from nclscreen.services.job_view import job_view, jobs_waiting, models_waited_for, obstacle, slowed
from nclscreen.visible_text import visible_text
from nclscreen.wiring import wire

JobArgument = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Cursor = Annotated[str | None, typer.Option(help="Go on where an earlier list ended, with the same filters.")]

#: rows that may be asked for: databases count no further than 2**63
_MOST = 1_000_000_000


def jobs(
    limit: Annotated[int, typer.Option(min=1, max=_MOST, help="How many, newest first.")] = 20,
    tag: Annotated[str | None, typer.Option(help="Only jobs with this tag.")] = None,
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.")] = None,
    name: Annotated[str | None, typer.Option(help="Only jobs whose name contains this, any case.")] = None,
    model: Model = None,
    submitted_after: Annotated[
        str | None, typer.Option(metavar="TIME", help="Not before 2026-05-17, 2026-05-17T10:00Z, or 7d, 12h, 30m ago.")
    ] = None,
    submitted_before: Annotated[str | None, typer.Option(metavar="TIME", help="Not after this time.")] = None,
    cursor: Cursor = None,
    as_json: Json = False,
) -> None:
    """List jobs, newest first."""
    wanted = JobFilter(
        tag=tag,
        state=state,
        name=name,
        model=model,
        created_after=_moment(submitted_after),
        created_before=_moment(submitted_before),
    )
    wiring = wire()
    page = wiring.jobs.page(wanted, limit, cursor)
    models = models_waited_for(wiring, page.items)
    waiting = jobs_waiting(wiring, page.items, models)
    documents = [
        job_document(job) | {"waits_for": waiting.get(job.id), "model_waits_for": models.get(job.id)}
        for job in page.items
    ]
    if as_json:
        output.print_json({"jobs": documents, "next_cursor": page.next_cursor})
        return
    print_jobs(documents, asked=wanted != JobFilter() or cursor is not None, begin="nclscreen screen FOLDER")
    _tell_more(page.next_cursor)


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
    output.print_columns(output.job_grid(view.job, view.error_codes, view.untestable, view.waits_for, view.slowed))
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
    if advice := about_bad_lines("\n".join(problem.reason for problem in problems)):
        output.err.print(advice, markup=False)
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
    attendance = Attendance(wiring.jobs, known, lambda: obstacle(wiring, wiring.jobs.get(known)))
    tell_slowness = SlownessNotice(lambda: slowed(wiring, wiring.jobs.get(known)))

    def look() -> None:
        attendance()
        tell_slowness()

    found = follow(wiring.jobs, known, look)
    job(found.id, as_json=as_json)
    if found.state is not JobState.COMPLETED:
        raise typer.Exit(output.FAILED)


def flagged(
    job_id: Annotated[str | None, typer.Option("--job", metavar="ID", help="Only of this job.")] = None,
    min_score: MinScore = None,
    max_score: MaxScore = None,
    min_area: MinArea = None,
    prefix: Prefix = None,
    container: Container = None,
    model: Model = None,
    review: Reviewed = None,
    case: OfCase = None,
    signal: Signal = None,
    limit: Annotated[int, typer.Option(min=0, max=_MOST, help="At most so many; 0 for all.")] = 100,
    cursor: Cursor = None,
    as_json: Json = False,
) -> None:
    """List flagged images, highest score first."""
    wiring = wire()
    job = wiring.jobs.get(job_id) if job_id is not None else None
    wanted = VerdictFilter(
        flagged=True,
        job_id=job.id if job else None,
        min_score=min_score,
        max_score=max_score,
        min_area=min_area,
        prefix=prefix,
        container=container.rstrip("/") if container else None,
        model=model,
        review=review,
        case=case,
        signal=signal,
    )
    models = wiring.verdicts.ranked_models() if job is None and model is None else []
    if len(models) > 1:
        output.err.print(f"note: {mixed_scores(models)}", markup=False)
    listing = wiring.verdicts.listing(wanted, limit or None, cursor)
    if as_json:
        output.print_json_list(
            "images", output.verdict_documents(listing), lambda: {"next_cursor": listing.next_cursor}
        )
    else:
        if not print_ranking(listing, job=job, models=models if len(models) > 1 else ()):
            tell_nothing(asked=wanted != VerdictFilter(flagged=True) or cursor is not None)
        _tell_more(listing.next_cursor)


def show(
    image: Image,
    out_file: Annotated[Path, typer.Option("--out", metavar="FILE.png", help="The picture to write.")],
    job_id: OfJob = None,
    as_json: Json = False,
) -> None:
    """Write a picture: the photograph beside its heatmap, on a fixed scale from 0 to 1."""
    from nclscreen.services.comparison_picture import NoPicture, comparison_picture

    wiring = wire()
    job, found = named_image(wiring, image, job_id)
    picture = comparison_picture(wiring, job, found)
    try:
        out_file.parent.mkdir(parents=True, exist_ok=True)
        picture.save(out_file, format="PNG")
    except OSError as error:
        raise NoPicture(f"cannot write {out_file}: {error.strerror or error}") from None
    if as_json:
        output.print_json(verdict_document(found) | {"picture": str(out_file)})
    else:
        output.out.print(str(out_file), soft_wrap=True, markup=False)


def _moment(said: str | None) -> float | None:
    try:
        return None if said is None else moment(said, time.time())[0]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _tell_more(cursor: str | None) -> None:
    if cursor is not None:
        output.err.print(f"there are more: the same command with --cursor {cursor}", markup=False)
