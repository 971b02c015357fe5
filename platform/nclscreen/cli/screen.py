"""`screen`, `up`, `submit`: the commands that make work, and those that do it."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from jobs.domain import Job, JobId
from jobs.domain.states import FINAL, JobState
from jobs.sql.errors import DATABASE_AWAY
from jobs.verdicts import VerdictFilter
from nclscreen.cli import output
from nclscreen.cli.confirming import Yes
from nclscreen.cli.folders import check_folder
from nclscreen.cli.ranking import print_ranking
from nclscreen.cli.run_view import RunView, run_job
from nclscreen.cli.serve import Host, Port, served
from nclscreen.cli.submission_options import Asked, takes_submission
from nclscreen.documents import job_document
from nclscreen.interrupts import Terminated, heed_termination
from nclscreen.quantities import duration_in_words
from nclscreen.services.report_writing import ReportUnwritable, write_job_report
from nclscreen.services.session import Session, running_session
from nclscreen.services.submission import Submission
from nclscreen.services.submission import submit as submit_request
from nclscreen.visible_text import visible_text
from nclscreen.wiring import Wiring, wire

SHOWN = 20

SOURCE_HELP = (
    "A folder, an image, s3://bucket/prefix, a list of images (.csv, .jsonl), or an S3 Inventory (its manifest.json)."
)
Source = Annotated[str, typer.Argument(help=SOURCE_HELP)]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


@takes_submission
def screen(
    source: Annotated[str | None, typer.Argument(help=SOURCE_HELP)] = None,
    *,
    asked: Asked,
    report: Annotated[Path | None, typer.Option(help="Write a report into this folder.")] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Go on with this job, instead of a SOURCE; with --report also one that is over."
        ),
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Screen a source to its end, starting what is needed on this machine and stopping it afterwards."""
    if (source is None) == (resume is None):
        raise typer.BadParameter("give either a SOURCE, or --resume with the id of an interrupted job")
    if resume is not None and asked != Asked():
        raise typer.BadParameter("an interrupted job keeps what it was submitted with: --resume takes no such option")
    if report is not None:
        check_folder(report, "--report")
    wiring = wire()
    job_id = _submitted(wiring, source, asked).job_id if source is not None else _interrupted_job(wiring, resume or "")
    job = run_job(wiring, job_id, yes=yes)
    written, unwritten = None, None
    if report is not None and job.state in FINAL:
        try:
            written = write_job_report(wiring, job, report)
        except ReportUnwritable as error:
            unwritten = error  # told behind what came of the job
    if as_json:
        errors = wiring.verdicts.error_counts(job.id)
        flagged = output.verdict_documents(wiring.verdicts.stream(_flagged_of(job), SHOWN))
        document = job_document(job) | {"error_codes": errors, "untestable": wiring.untestable.of(job)}
        output.print_json(document | {"flagged": list(flagged), "report": str(written) if written else None})
    elif job.state in FINAL:
        print_result(wiring, job)
        if written is not None:
            output.out.print(f"report   {written}", soft_wrap=True)
    if unwritten is not None:
        raise unwritten
    if job.state is not JobState.COMPLETED:
        raise typer.Exit(output.FAILED)


def up(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    no_pages: Annotated[bool, typer.Option("--no-pages", help="Without pages and API.")] = False,
) -> None:
    """Run the system until Ctrl-C: Ray, the hosted model, the dispatcher that works off jobs, pages and API."""
    wiring = wire()
    # what is over by now is no news; what begins and ends between two looks is
    shown = {job.id: job.state for job in wiring.jobs.latest() if job.state in FINAL}
    # how a service manager says that it is time; also while Ray starts
    with suppress(Terminated), running_session(wiring, starting=RunView(wiring).starting) as session:
        output.err.print(f"up: model {wiring.current_model.ref.name}, database {wiring.engine.url.render_as_string()}")
        output.err.print("submit work with: nclscreen submit SOURCE; stop with Ctrl-C (nothing is lost)")
        with served(wiring, host, None if no_pages else port):
            _follow(wiring, session, shown)


def _follow(wiring: Wiring, session: Session, shown: dict[JobId, JobState]) -> None:
    """Say what becomes of jobs, until the session is over. Raises what ended it."""
    while session.running:
        with suppress(*DATABASE_AWAY):  # the dispatcher says so, and waits for it
            _tell_changes(wiring.jobs.latest(), shown)
        session.check()
        time.sleep(1.0)
        heed_termination()
    session.check()


@takes_submission
def submit(source: Source, *, asked: Asked, as_json: Json = False) -> None:
    """Enqueue a screening job and print its id; a running `nclscreen up` works it off."""
    wiring = wire()
    submitted = _submitted(wiring, source, asked)
    if as_json:
        output.print_json(job_document(wiring.jobs.get(submitted.job_id)) | {"submitted_before": submitted.again})
    else:
        print(submitted.job_id)  # noqa: T201 - the bare id, for scripts
        output.err.print(f"follow it with: nclscreen watch {submitted.job_id}")


def _submitted(wiring: Wiring, source: str, asked: Asked) -> Submission:
    submitted = submit_request(wiring, asked.request(source))
    for note in submitted.notes:
        output.err.print(note, markup=False)
    return submitted


def _interrupted_job(wiring: Wiring, job_id: str) -> JobId:
    return wiring.jobs.get(job_id).id


def print_result(wiring: Wiring, job: Job) -> None:
    """What people want to know at the end: the job, and the images most likely tampered with."""
    output.print_columns(output.job_grid(job, wiring.verdicts.error_counts(job.id), wiring.untestable.of(job)))
    if job.started_at and job.finished_at and job.counts.done:
        took = job.finished_at - job.started_at
        output.out.print(f"took     {duration_in_words(took)}, {job.counts.done / max(took, 1e-9):.1f} images/s")
    if job.counts.flagged:
        output.out.print()
        print_ranking(wiring.verdicts.stream(_flagged_of(job), SHOWN), job=job)
        if job.counts.flagged > SHOWN:
            output.out.print(f"... and {job.counts.flagged - SHOWN:,} more: nclscreen flagged --job {job.id}")


def _flagged_of(job: Job) -> VerdictFilter:
    return VerdictFilter(job_id=job.id, flagged=True)


def _tell_changes(jobs: list[Job], shown: dict[JobId, JobState]) -> None:
    for job in jobs:
        if shown.get(job.id) is not job.state:
            counts = job.counts
            output.err.print(
                f"job {job.id} {job.state.value}: {counts.done:,}/{counts.total:,} images, {counts.flagged:,} flagged"
                + (f": {visible_text(job.error)}" if job.error else ""),
                markup=False,
            )
        shown[job.id] = job.state
