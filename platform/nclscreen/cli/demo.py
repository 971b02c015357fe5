"""`demo`: photographs that ship with Python packages, some of them tampered with before your eyes, are screened."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.domain.states import JobState
from nclscreen.cli import output
from nclscreen.cli.run_view import run_job
from nclscreen.cli.screen import print_result
from nclscreen.services.report_writing import write_job_report
from nclscreen.services.submission import submit
from nclscreen.services.submission_request import SubmissionRequest
from nclscreen.surroundings import load_settings, make_folder
from nclscreen.wiring import Wiring


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the photographs, the database and the report.")] = Path(
        "demo-output"
    ),
    seed: Annotated[int, typer.Option(help="Another number makes other edits.")] = 1,
) -> None:
    """Make a small corpus of real photographs, tamper with some, screen it, and see what is found."""
    from nclscreen.demo import build_demo_corpus, tally
    from nclscreen.stored_heatmaps import heatmap_reader

    out = out.absolute()
    make_folder(out, "name another place with --out")
    # everything stays in the demo's own folder, and all heatmaps are kept, since they are compared with the masks
    settings = load_settings().model_copy(update={"home": out / "state", "heatmaps": "all"})
    wiring = Wiring(settings)
    corpus = build_demo_corpus(out / "photographs", seed)
    output.err.print(f"made {corpus.folder}: authentic, tampered and broken files", soft_wrap=True)
    job = run_job(wiring, submit(wiring, SubmissionRequest(source=str(corpus.folder))).job_id)
    print_result(wiring, job)
    report = write_job_report(wiring, job, out / "report")
    output.out.print()
    found = (item.verdict for item in wiring.verdicts.of_job(job.id))
    counted = tally(corpus, found, heatmap_reader(wiring.open_storage), threshold=job.threshold)
    output.out.print(str(counted), markup=False)
    output.out.print(f"report   {report}", soft_wrap=True, markup=False)
    if job.state is not JobState.COMPLETED:
        raise typer.Exit(output.FAILED)
