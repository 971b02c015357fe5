"""Trying the failed images of a job again: which they are, and the job that is made of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, func, select

from jobs.domain import ImageKey, ImageRef, Job, JobId, ModelRef, NewJob
from jobs.domain.states import FINAL, JobState
from jobs.errors import ErrorCode, RequestRefused
from jobs.lifecycle.job_table import JobTable
from jobs.sql.database import reading
from jobs.sql.tables import verdicts

_CHUNK = 500
_RETRY_NAME = re.compile(r"retry(?: ([0-9]{1,6}))? of (.*)", re.DOTALL)


class Retries(JobTable):
    """The failed images of jobs that are over."""

    def count_failed(self, job_id: JobId, codes: Sequence[ErrorCode] = ()) -> int:
        """Images of the job with one of these error codes; no codes mean all of them."""
        with reading(self._engine) as connection:
            found = connection.execute(select(func.count()).select_from(verdicts).where(*_failed(job_id, codes)))
            return int(found.scalar_one())

    def failed_images(self, job_id: JobId, codes: Sequence[ErrorCode] = ()) -> Iterator[ImageRef]:
        """The same images, in manifest order, streamed.

        Without their ETag and size: what failed may have been mended since, and the old ones would then name bytes
        that were never screened. A version that was asked for stays.
        """
        wanted = (
            select(verdicts.c.container, verdicts.c.key, verdicts.c.version_id, verdicts.c.case_name)
            .where(*_failed(job_id, codes))
            .order_by(verdicts.c.ordinal)
        )
        with (
            reading(self._engine) as connection,
            connection.execution_options(yield_per=_CHUNK).execute(wanted) as rows,
        ):
            for row in rows:
                yield ImageRef(
                    container=row.container, key=ImageKey(row.key), version_id=row.version_id, case=row.case_name
                )


def _failed(job_id: JobId, codes: Sequence[ErrorCode]) -> list[ColumnElement[bool]]:
    # "is not null" is what the partial index says, so it is said here too
    conditions = [verdicts.c.job_id == job_id, verdicts.c.error_code.is_not(None)]
    return [*conditions, verdicts.c.error_code.in_([code.value for code in codes])] if codes else conditions


def retry_request(
    job: Job,
    codes: Sequence[ErrorCode] = (),
    *,
    model: ModelRef | None = None,
    name: str | None = None,
    threshold: float | None = None,
    policy: dict[str, Any] | None = None,
) -> NewJob:
    """What to submit so that the failed images of `job` are tried again, asked for as `job` was.

    `model` is another than the job's, `threshold` another than the job's, with the `policy` it stands for. Raises
    RequestRefused when the job is not over: its verdicts are still coming. The new job has a name of its own, and never
    gives up: all its images have failed before.
    """
    if job.state not in FINAL:
        raise RequestRefused(job.id, "retry", job.state, "its failures are known when it is over")
    if job.state is JobState.DELETING:
        raise RequestRefused(job.id, "retry", job.state, "its verdicts are being deleted")
    options = replace(
        job.options,
        name=name or retry_name(job),
        confirm=False,
        failure_threshold=replace(job.options.failure_threshold, ratio=1.0),
        retry_of=job.id,
        retry_codes=tuple(dict.fromkeys(codes)),
    )
    if threshold is None:
        threshold, policy = job.threshold, job.policy if model is None else None
    return NewJob(
        source=job.source,
        filters=job.filters,
        model=model or job.model,
        threshold=threshold,
        policy=policy,
        heatmaps_from=job.heatmaps_from if model is None and threshold == job.threshold else None,
        options=options,
        project=job.project,
    )


def retry_name(job: Job) -> str:
    """ "retry of NAME", then "retry 2 of NAME"; a job without a name is known by its id."""
    name = job.options.name or job.id
    again = _RETRY_NAME.fullmatch(name) if job.options.retry_of else None
    if again is None:
        return f"retry of {name}"
    return f"retry {int(again.group(1) or 1) + 1} of {again.group(2)}"
