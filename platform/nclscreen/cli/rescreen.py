"""`rescreen`: the images of a job once more, by the current model."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.domain import RetryImages
from nclscreen.cli import output
from nclscreen.cli.query import JobArgument, Json
from nclscreen.cli.taken_again import print_taken_again
from nclscreen.services.rescreening import RescreenRequest
from nclscreen.services.rescreening import rescreen as screen_again
from nclscreen.wiring import wire


def rescreen(
    job_id: JobArgument,
    images: Annotated[
        RetryImages, typer.Option(help="Which of its images: all, flagged or reviewed ones.")
    ] = RetryImages.ALL,
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Score from which an image is flagged; else as the job asked, or the model."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="VERSION", help="A registered model version instead of the current one.")
    ] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="Only so many of the images, drawn at random.")] = None,
    rescore: Annotated[bool, typer.Option("--rescore", help="Score images anew whose verdict is known.")] = False,
    name: Annotated[str | None, typer.Option(help="The new job's name; else 'rescreen of' the job's.")] = None,
    as_json: Json = False,
) -> None:
    """Screen the images of a finished job again, with the model that new jobs get, and print the new job's id.

    Nothing is listed again. The finished job keeps its verdicts; its false-alarm rate is asked of the new model.
    Whether a version would change much: --model VERSION --sample 1000, then 'nclscreen changes' on the new job.
    """
    wiring = wire()
    asked = RescreenRequest(
        job_id=job_id, images=images, threshold=threshold, model=model, sample=sample, rescore=rescore, name=name
    )
    made = screen_again(wiring, asked)
    for note in made.notes:
        output.err.print(note, markup=False)
    nothing = f"nothing to screen: job {made.earlier_id} has no such image"
    print_taken_again(wiring, made.job_id, made.earlier_id, made.images, nothing=nothing, as_json=as_json)
