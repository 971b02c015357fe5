"""`cases`: the claims, papers or listings of a job, the most suspect first."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.verdicts.cases import Case, CaseFilter
from nclscreen.cli import output
from nclscreen.cli.query import JobArgument, Json
from nclscreen.documents import case_document
from nclscreen.quantities import score_in_words
from nclscreen.wiring import wire

_HEADINGS = ("score", "images", "flagged", "unreviewed", "confirmed", "failed", "case")


def cases(
    job_id: JobArgument,
    flagged: Annotated[
        bool | None, typer.Option("--flagged/--not-flagged", help="Only with a flagged image, or without any.")
    ] = None,
    unreviewed: Annotated[
        bool | None,
        typer.Option("--unreviewed/--reviewed", help="Only with a flagged image that nobody has reviewed, or without."),
    ] = None,
    by_name: Annotated[bool, typer.Option("--by-name", help="In the order of their names.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on where a list ended.")] = None,
    as_json: Json = False,
) -> None:
    """The cases of a job (submitted with --case-from), the most suspect first: a case's score is its worst image's."""
    wiring = wire()
    wanted = CaseFilter(job_id=wiring.jobs.get(job_id).id, flagged=flagged, unreviewed=unreviewed, by_name=by_name)
    page = wiring.verdicts.cases(wanted, limit, cursor)
    if as_json:
        output.print_json({"cases": [case_document(each) for each in page.items], "next": page.next_cursor})
        return
    output.print_table(_HEADINGS, [_row(each) for each in page.items])
    if page.next_cursor:
        output.err.print(f"there are more: --cursor {page.next_cursor}")


def _row(case: Case) -> tuple[str, ...]:
    score = "–" if case.score is None else score_in_words(case.score)
    counts = (case.images, case.flagged, case.unreviewed, case.confirmed, case.failed)
    return (score, *(f"{count:,}" for count in counts), case.name)
