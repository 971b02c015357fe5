"""`review`, `reviews`: what people say of flagged images."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from jobs.domain import Decision, Review
from jobs.domain.drawings import DrawingKind
from nclscreen.cli import output
from nclscreen.cli.drawing_files import Mask, Scribbles, named_drawing
from nclscreen.cli.query import JobArgument, Json
from nclscreen.cli.verdict_options import Image, OfJob, named_image
from nclscreen.documents import review_document
from nclscreen.services.reviewing import ReviewRequest, job_reviews, undo_review
from nclscreen.services.reviewing import review as written
from nclscreen.visible_text import visible_text
from nclscreen.wiring import wire

_DRAWN = {DrawingKind.MASK: "a mask", DrawingKind.SCRIBBLES: "scribbles"}


def review(
    image: Image,
    decision: Annotated[
        Decision | None, typer.Argument(help="confirmed, rejected (a false alarm) or unsure; none: show the reviews.")
    ] = None,
    job_id: OfJob = None,
    note: Annotated[str | None, typer.Option(help="Why, in up to 2000 characters.")] = None,
    severity: Annotated[int | None, typer.Option(min=1, max=5, help="1 hardly matters, 5 is as bad as can be.")] = None,
    reviewer: Annotated[str | None, typer.Option("--reviewer", metavar="NAME", help="Who says so; else you.")] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take the last decision back.")] = False,
    blind: Annotated[
        bool, typer.Option("--blind", help="A second look: you have not seen what somebody else said of it.")
    ] = False,
    mask: Mask = None,
    scribbles: Scribbles = None,
    as_json: Json = False,
) -> None:
    """Say what you see in an image, or take it back. Nothing is overwritten: the last word holds, the others stay."""
    drawn = mask is not None or scribbles is not None
    if undo and (decision is not None or note is not None or severity is not None or blind or drawn):
        raise typer.BadParameter("--undo takes no decision, note, severity or drawing")
    if decision is None and not undo and (note is not None or severity is not None or blind or drawn):
        raise typer.BadParameter("say what it is, too: confirmed, rejected or unsure")
    wiring = wire()
    _, found = named_image(wiring, image, job_id)
    name = reviewer if reviewer is not None else you()
    if undo:
        undo_review(wiring, found, name)
    elif decision is not None:
        drawing = named_drawing(mask, scribbles)
        request = ReviewRequest(
            decision=decision, reviewer=name, note=note, severity=severity, blind=blind, drawing=drawing
        )
        written(wiring, found, request)
    said = wiring.reviews.of(found.ref)
    if as_json:
        output.print_json({"ref": str(found.ref), "reviews": [review_document(each) for each in said]})
        return
    output.out.print(f"{found.ref}  {visible_text(found.verdict.uri)}", soft_wrap=True, markup=False)
    for each in said:
        output.out.print(_line(each), soft_wrap=True, markup=False)
    if not said:
        output.err.print("nobody has reviewed it yet")


def reviews(job_id: JobArgument, as_json: Json = False) -> None:
    """List what people say of a job's images: what holds for each, in the order of the manifest."""
    wiring = wire()
    found = job_reviews(wiring, job_id)
    said = wiring.reviews.of_job(found.job_id)
    if as_json:
        output.print_json_list("reviews", (review_document(each) for each in said), lambda: found.document)
        return
    for each in said:
        output.out.print(
            f"{each.ref.ordinal:>9}  {_line(each)}  {visible_text(each.key)}", soft_wrap=True, markup=False
        )
    counted = ", ".join(f"{images:,} {decision}" for decision, images in found.decisions.items())
    output.err.print(f"{counted}; {found.flagged:,} images are flagged")


def _line(review: Review) -> str:
    said = review.decision.value if review.decision else "taken back"
    if review.undoes is not None and review.decision is not None:
        said += " again"
    severity = f" severity {review.severity}" if review.severity else ""
    drawing = "" if review.drawing is None else f" with {_DRAWN[review.drawing.kind]}"
    note = f": {visible_text(review.note)}" if review.note else ""
    return f"{said}{severity}{drawing} by {visible_text(review.reviewer)}{note}"


def you() -> str:
    """The name of whoever runs this."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in containers
        return "somebody"
