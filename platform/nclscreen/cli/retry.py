"""`retry`: the failed images of a job once more."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.domain import Job, ModelRef, NewJob
from jobs.errors import ErrorCode
from jobs.lifecycle.retries import retry_request
from nclscreen.cli import output
from nclscreen.cli.policies import policy_document
from nclscreen.cli.query import JobArgument, Json
from nclscreen.documents import job_document
from nclscreen.wiring import Wiring, wire


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
    as_json: Json = False,
) -> None:
    """Make a job of only the failed images of a finished one, and print its id; `nclscreen up` works it off.

    Nothing is listed again. Priority, webhook and completion report are those of the finished job, and so is the
    threshold, unless another one is given.
    """
    wiring = wire()
    earlier = wiring.jobs.get(job_id)
    codes = tuple(code or ())
    new = _request(wiring, earlier, codes, wiring.model if current_model else None, threshold)
    images = wiring.jobs.count_failed(earlier.id, codes)
    if images == 0:
        wanted = f" with {', '.join(codes)}" if codes else ""
        output.err.print(f"nothing to retry: no image of job {earlier.id} failed{wanted}")
        if as_json:
            output.print_json({"id": None, "retry_of": earlier.id, "images": 0})
        return
    made = wiring.jobs.submit(new)
    if as_json:
        output.print_json(job_document(wiring.jobs.get(made)) | {"retry_of": earlier.id, "images": images})
    else:
        print(made)  # noqa: T201 - the bare id, for scripts
        output.err.print(f"{images:,} images of job {earlier.id} again; follow it with: nclscreen watch {made}")


def _request(
    wiring: Wiring, earlier: Job, codes: tuple[ErrorCode, ...], model: ModelRef | None, threshold: float | None
) -> NewJob:
    if model is None or threshold is not None or not earlier.policy:
        return retry_request(earlier, codes, model=model, threshold=threshold)
    # a threshold that stands for a false-positive rate belongs to its model
    policy = wiring.policy(earlier.policy["max_fpr"])
    return retry_request(earlier, codes, model=model, threshold=policy.threshold, policy=policy_document(policy))
