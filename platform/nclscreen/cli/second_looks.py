"""`second-looks`: images that two people decide on, and how far they agree."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.domain import Decision
from jobs.domain.reviews import SecondLook
from jobs.verdicts import VerdictFilter
from nclscreen.cli import output
from nclscreen.cli.query import JobArgument, Json
from nclscreen.services.second_looking import SecondLookView, set_second_looks
from nclscreen.services.second_looking import second_looks as found_second_looks
from nclscreen.visible_text import visible_text
from nclscreen.wiring import Wiring, wire

#: conflicts that are named
_NAMED = 50


def second_looks(
    job_id: JobArgument,
    share: Annotated[
        float | None, typer.Option(min=0, max=1, help="Have this share of the reviewed images looked at twice.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show where two people who do not know of each other agree on a job's images; or say how many to ask twice."""
    wiring = wire()
    view = found_second_looks(wiring, job_id) if share is None else set_second_looks(wiring, job_id, share)
    if as_json:
        output.print_json(view.document)
        return
    _print(view)
    _print_conflicts(wiring, view)


def _print(view: SecondLookView) -> None:
    output.out.print(f"{100 * view.share:g} % of the reviewed images get a second look", markup=False)
    output.out.print(", ".join(f"{images:,} {state}" for state, images in view.counts.items()), markup=False)
    agreement = view.agreement
    if not agreement.images:
        return
    rows = [(first.value, *(f"{view.pairs[first, second]:,}" for second in Decision)) for first in Decision]
    output.print_table(("first \\ second", *(decision.value for decision in Decision)), rows)
    kappa = "not defined: all said one thing" if agreement.kappa is None else f"{agreement.kappa:.3f}"
    output.out.print(
        f"Cohen's kappa {kappa}; the same of {agreement.same:,} of {agreement.images:,} images", markup=False
    )


def _print_conflicts(wiring: Wiring, view: SecondLookView) -> None:
    """Which images wait for a third decision."""
    if not view.counts[SecondLook.CONFLICT]:
        return
    wanted = VerdictFilter(job_id=view.job_id, second_look=SecondLook.CONFLICT)
    for found in wiring.verdicts.stream(wanted, _NAMED):
        output.out.print(f"conflict  {found.ref}  {visible_text(found.verdict.key)}", soft_wrap=True, markup=False)
    output.err.print("settle conflicts by a third decision: nclscreen review JOB/NUMBER, or the page of the job")
