"""A job of another one's images, as `retry` and `rescreen` tell of it."""

from __future__ import annotations

from jobs.domain import JobId
from nclscreen.cli import output
from nclscreen.documents import job_document
from nclscreen.quantities import counted
from nclscreen.wiring import Wiring


def print_taken_again(
    wiring: Wiring, job_id: JobId | None, earlier_id: JobId, images: int, *, nothing: str, as_json: bool
) -> None:
    """The new job's id, for scripts, or its document; `nothing` is said where there was no image (`job_id` is None)."""
    if job_id is None:
        output.err.print(nothing)
    if as_json:
        made = {"id": None} if job_id is None else job_document(wiring.jobs.get(job_id))
        output.print_json(made | {"retry_of": earlier_id, "images": images})
    elif job_id is not None:
        print(job_id)  # noqa: T201 - the bare id
        again = f"{counted(images, 'image')} of job {earlier_id} again"
        output.err.print(f"{again}; follow it with: nclscreen watch {job_id}")
