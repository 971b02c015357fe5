"""`changes`: what a second opinion changed."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.verdicts import Change
from nclscreen.cli import output
from nclscreen.cli.query import JobArgument, Json
from nclscreen.documents import verdict_document
from nclscreen.quantities import score_in_words
from nclscreen.services.changing import Changes, changed
from nclscreen.services.changing import changes as count_changes
from nclscreen.wiring import wire


def changes(
    job_id: JobArgument,
    against: Annotated[
        str | None, typer.Option(metavar="ID", help="The other job; else the one whose images this one took again.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Images to list in each direction.")] = 20,
    as_json: Json = False,
) -> None:
    """Compare the verdicts of two jobs on the same images: which are flagged in one and not in the other.

    Images are the same by their place. Scores of two models do not compare; what is flagged does.
    """
    wiring = wire()
    found = count_changes(wiring, job_id, against)
    listed = {change: list(changed(wiring, found, change, limit)) for change in (Change.FLAGGED, Change.CLEARED)}
    if as_json:
        documents = {f"images_{change}": [verdict_document(each) for each in listed[change]] for change in listed}
        output.print_json(found.document | documents)
        return
    for line in _lines(found):
        output.out.print(line, soft_wrap=True, markup=False)
    for change, sign in ((Change.FLAGGED, "+"), (Change.CLEARED, "-")):
        for each in listed[change]:
            score = "-" if each.verdict.score is None else score_in_words(each.verdict.score)
            output.out.print(f"{sign} {score}  {each.ref}  {output.visible(each.verdict.uri)}", soft_wrap=True)


def _lines(found: Changes) -> list[str]:
    share = f" of {found.compared:,} with a score in both"
    return [
        f"job {found.job.id}, {found.job.model.name}, from {found.job.threshold:.4f}",
        f"against {found.against.id}, {found.against.model.name}, from {found.against.threshold:.4f}",
        f"flagged now    {found.flagged:,}{share}",
        f"not any more   {found.cleared:,}{share}",
    ]
