"""`audit`: how right a job was, by a sample that people review."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.domain import ReviewState
from jobs.reviews.audit_figures import Estimate
from jobs.verdicts import VerdictFilter
from nclscreen.cli import output
from nclscreen.cli.query import JobArgument, Json
from nclscreen.cli.review import you
from nclscreen.quantities import counted
from nclscreen.services.auditing import LARGEST_SEED, SIZES, AuditRequest, AuditView, audit_view, draw_audit
from nclscreen.visible_text import visible_text
from nclscreen.wiring import Wiring, wire


def audit(
    job_id: JobArgument,
    size: Annotated[
        int | None,
        typer.Option(min=SIZES[0], max=SIZES[1], help="Draw a sample of so many images; else show the last."),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=LARGEST_SEED, help="The same size and seed draw the same sample.")
    ] = 0,
    number: Annotated[int | None, typer.Option(min=1, help="Show this audit; else the last one.")] = None,
    left: Annotated[bool, typer.Option("--left", help="List its images that are still to be reviewed.")] = False,
    as_json: Json = False,
) -> None:
    """Draw a sample of a job by score, or show what it says: how many flagged are tampered, how many were missed."""
    if size is not None and number is not None:
        raise typer.BadParameter("--number shows an audit, --size draws one: say one of them")
    wiring = wire()
    if size is None:
        view = audit_view(wiring, job_id, number)
    else:
        view = draw_audit(wiring, AuditRequest(job_id=job_id, size=size, seed=seed, drawn_by=you()))
    if left:
        _print_left(wiring, view, as_json)
    elif as_json:
        output.print_json(view.document)
    else:
        _print(view)


def _print_left(wiring: Wiring, view: AuditView, as_json: bool) -> None:
    """What is still to be reviewed, in the random order of the sample."""
    wanted = VerdictFilter(job_id=view.job.id, audit=view.audit.number, review=ReviewState.UNREVIEWED)
    found = wiring.verdicts.stream(wanted)
    if as_json:
        output.print_json_list("images", output.verdict_documents(found), lambda: view.document)
        return
    for each in found:
        output.out.print(f"{each.ref}  {visible_text(each.verdict.uri)}", soft_wrap=True, markup=False)
    output.err.print(_rest(view))


def _print(view: AuditView) -> None:
    rows = [
        (
            each.stratum.name,
            *(f"{count:,}" for count in (each.stratum.images, each.stratum.drawn)),
            *(f"{count:,}" for count in (each.confirmed, each.rejected, each.unsure, each.unreviewed)),
        )
        for each in view.strata
    ]
    output.print_table(("stratum", "images", "drawn", "confirmed", "rejected", "unsure", "unreviewed"), rows)
    figures = view.figures
    for words, estimate in (
        ("of the flagged images are tampered", figures.precision),
        ("of the others are tampered: they were missed", figures.missed_rate),
        ("of all tampered images were missed", figures.missed_share),
    ):
        output.out.print(f"{_in_words(estimate):<28} {words}", markup=False)
    output.err.print(_rest(view))


def _in_words(estimate: Estimate | None) -> str:
    if estimate is None:
        return "not known"
    return f"{100 * estimate.value:.1f} % ({100 * estimate.low:.1f} to {100 * estimate.high:.1f} %)"


def _rest(view: AuditView) -> str:
    audit = view.audit
    said = [f"audit {audit.number}: {view.unreviewed:,} of {audit.drawn:,} drawn images are still unreviewed"]
    if view.unsure:
        said.append(f"{view.unsure:,} are unsure, and left out")
    if audit.unscored:
        said.append(f"nothing is said of {counted(audit.unscored, 'image')} without a score")
    if audit.threshold != view.job.threshold:
        said.append(f"it was drawn when images were flagged from {audit.threshold:.4f} on")
    return "; ".join(said)
