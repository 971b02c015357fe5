"""How commands say which verdicts: the same options, and the same ways to name one image, wherever they are taken."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from jobs.domain import Job, ReviewState
from jobs.domain.signals import SignalKind
from jobs.verdicts import FoundVerdict
from nclscreen.wiring import Wiring

MinScore = Annotated[float | None, typer.Option(min=0, max=1, help="Only scores from this on.")]
MaxScore = Annotated[float | None, typer.Option(min=0, max=1, help="Only scores up to this.")]
MinArea = Annotated[
    float | None, typer.Option(min=0, max=1, help="Only images of which this share or more looks tampered.")
]
Prefix = Annotated[str | None, typer.Option(help="Only keys that begin with this.")]
Container = Annotated[str | None, typer.Option(help="Only of this s3://bucket or file:///folder.")]
Reviewed = Annotated[
    ReviewState | None, typer.Option(help="Only images for which this holds: unreviewed, confirmed, ...")
]
OfCase = Annotated[str | None, typer.Option("--case", help="Only of this case: a claim, a paper, a listing.")]
Signal = Annotated[SignalKind | None, typer.Option(help="Only files that say this of themselves.")]
Model = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only of this model: its name, or the beginning of its fingerprint.")
]
Image = Annotated[
    str,
    typer.Argument(
        help="JOB/NUMBER; or with --job its number, its address (s3://bucket/key), or its key alone, as 'flagged' "
        "prints it. A key that begins with a dash: by its number, or behind -- after all options."
    ),
]
OfJob = Annotated[str | None, typer.Option("--job", metavar="ID", help="The job it was screened in.")]

#: "JOB/NUMBER"
_REF = re.compile(r"([0-9a-z]{16})/[0-9]+")


def named_image(wiring: Wiring, image: str, job_id: str | None) -> tuple[Job, FoundVerdict]:
    """The image that was named, and its job. Raises BadParameter, JobNotFound, VerdictNotFound, AmbiguousImage."""
    if job_id is None and (ref := _REF.fullmatch(image)):
        job_id = ref.group(1)
    if job_id is None:
        raise typer.BadParameter("say of which job with --job ID, or write JOB/NUMBER as 'nclscreen flagged' does")
    job = wiring.jobs.get(job_id)
    return job, wiring.verdicts.find(job.id, image)
