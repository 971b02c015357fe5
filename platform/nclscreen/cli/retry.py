"""`retry`: the failed images of a job once more."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.errors import ErrorCode
from nclscreen.cli.query import JobArgument, Json
from nclscreen.cli.taken_again import print_taken_again
from nclscreen.services.retrying import RetryRequest
from nclscreen.services.retrying import retry as retry_failed
from nclscreen.wiring import wire


def retry(
    job_id: JobArgument,
    code: Annotated[
        list[ErrorCode] | None, typer.Option(help="Only images with this error code; may be repeated. Else all.")
    ] = None,
    current_model: Annotated[
        bool, typer.Option("--current-model", help="Score with the model of this installation, not the job's.")
    ] = False,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Score from which an image is flagged; else the job's.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The new job's name; else 'retry of' the job's.")] = None,
    as_json: Json = False,
) -> None:
    """Make a job of only the failed images of a finished one, and print its id; `nclscreen up` works it off.

    Nothing is listed again. Priority, webhook and completion report are those of the finished job, and so is the
    threshold, unless another one is given.
    """
    wiring = wire()
    codes = tuple(code or ())
    made = retry_failed(
        wiring, RetryRequest(job_id=job_id, codes=codes, current_model=current_model, threshold=threshold, name=name)
    )
    wanted = f" with {', '.join(codes)}" if codes else ""
    nothing = f"nothing to retry: no image of job {made.earlier_id} failed{wanted}"
    print_taken_again(wiring, made.job_id, made.earlier_id, made.images, nothing=nothing, as_json=as_json)
