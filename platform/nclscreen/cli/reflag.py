"""`reflag`: another threshold for a job that is over."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from nclscreen.cli import output
from nclscreen.cli.policies import MaxFpr, Threshold
from nclscreen.cli.query import JobArgument, Json
from nclscreen.documents import job_document
from nclscreen.quantities import counted
from nclscreen.services.reflagging import ReflagRequest, reflag_job, what_would_change
from nclscreen.services.replaying import ReplayView
from nclscreen.wiring import wire


def reflag(
    job_id: JobArgument,
    threshold: Threshold = None,
    max_fpr: MaxFpr = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Flag from another score on in a job that is over. Nothing is scored; reviews stay; a kill loses nothing.

    'nclscreen replay' counts beforehand what would change, and so does this command before it asks.
    """
    wiring = wire()
    request = ReflagRequest(job_id=job_id, threshold=threshold, max_fpr=max_fpr)
    view = what_would_change(wiring, request)
    if not yes and not _agreed(view):
        raise typer.BadParameter("nothing was changed; say --yes to change it without being asked")
    with output.err.status(f"job {view.job.id}: rewriting verdicts") as status:
        job = reflag_job(wiring, request, lambda rows: status.update(f"job {view.job.id}: {rows:,} verdicts rewritten"))
    if as_json:
        output.print_json(job_document(job))
        return
    said = f"job {job.id} flags from {job.threshold:.4f} on: {counted(job.counts.flagged, 'image')}"
    output.out.print(f"{said} ({view.counts.added:,} more, {view.counts.removed:,} fewer)", soft_wrap=True)


def _agreed(view: ReplayView) -> bool:
    if not (sys.stdin.isatty() and output.err.is_terminal):
        return False
    change = f"{view.counts.added:,} more and {view.counts.removed:,} fewer images"
    try:
        return typer.confirm(f"flag {change} in job {view.job.id}, from {view.rule.score:.4f} on?", err=True)
    except typer.Abort:
        raise KeyboardInterrupt from None
