"""`review-all`: one decision for all images of a job that pass a filter."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from jobs.domain import Decision
from jobs.errors import ErrorCode
from jobs.verdicts import VerdictFilter
from nclscreen.cli import output
from nclscreen.cli.query import JobArgument, Json
from nclscreen.cli.review import you
from nclscreen.cli.verdict_options import Container, MaxScore, MinArea, MinScore, OfCase, Prefix, Reviewed, Signal
from nclscreen.quantities import counted
from nclscreen.services.bulk_reviewing import BulkReviewed, count_matching, undo_bulk
from nclscreen.services.bulk_reviewing import review_all as written
from nclscreen.services.reviewing import ReviewRequest
from nclscreen.wiring import wire


def review_all(
    job_id: JobArgument,
    decision: Annotated[
        Decision | None, typer.Argument(help="confirmed, rejected (a false alarm) or unsure; none: count them.")
    ] = None,
    flagged: Annotated[
        bool | None, typer.Option("--flagged/--not-flagged", help="Only images that were flagged, or were not.")
    ] = None,
    min_score: MinScore = None,
    max_score: MaxScore = None,
    min_area: MinArea = None,
    prefix: Prefix = None,
    container: Container = None,
    code: Annotated[ErrorCode | None, typer.Option(help="Only images with this error code.")] = None,
    review: Reviewed = None,
    case: OfCase = None,
    signal: Signal = None,
    note: Annotated[str | None, typer.Option(help="Why, in up to 2000 characters.")] = None,
    severity: Annotated[int | None, typer.Option(min=1, max=5, help="1 hardly matters, 5 is as bad as can be.")] = None,
    reviewer: Annotated[str | None, typer.Option("--reviewer", metavar="NAME", help="Who says so; else you.")] = None,
    undo: Annotated[str | None, typer.Option("--undo", metavar="BULK", help="Take these decisions back.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Say the same of all images of a job that pass a filter: they are counted first, and you are asked.

    Each gets a review of its own. All of them can be taken back at once; what somebody decides on meanwhile stands.
    """
    wiring = wire()
    job = wiring.jobs.get(job_id)
    name = reviewer if reviewer is not None else you()
    if undo is not None:
        if decision is not None:
            raise typer.BadParameter("--undo takes no decision")
        _print(undo_bulk(wiring, undo, name), "taken back", as_json)
        return
    wanted = VerdictFilter(
        job_id=job.id,
        flagged=flagged,
        min_score=min_score,
        max_score=max_score,
        min_area=min_area,
        prefix=prefix,
        container=container.rstrip("/") if container else None,
        error_code=code,
        review=review,
        case=case,
        signal=signal,
    )
    count = count_matching(wiring, wanted)
    if decision is None or not count:
        if as_json:
            output.print_json({"count": count})
        else:
            output.out.print(f"{count:,} images pass")
        return
    if not yes and not _agreed(count, decision):
        raise typer.BadParameter(f"nothing was written; {count:,} images pass: say --yes to decide without being asked")
    request = ReviewRequest(decision=decision, reviewer=name, note=note, severity=severity)
    _print(written(wiring, wanted, request, count), decision.value, as_json)


def _agreed(count: int, decision: Decision) -> bool:
    if not (sys.stdin.isatty() and output.err.is_terminal):
        return False
    try:
        return typer.confirm(f"say {decision.value} of {counted(count, 'image')}?", err=True)
    except typer.Abort:
        raise KeyboardInterrupt from None


def _print(done: BulkReviewed, said: str, as_json: bool) -> None:
    if as_json:
        document: dict[str, Any] = done.document
        output.print_json(document)
        return
    output.out.print(f"{counted(done.written, 'image')} {said}")
    if done.passed_over:
        output.err.print(f"{done.passed_over:,} passed over: somebody has decided on them meanwhile")
    if said != "taken back":
        output.err.print(f"take them back with --undo {done.bulk}")
