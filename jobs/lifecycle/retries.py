"""Images of a job once more, those that failed or others: which they are, and the job that is made of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, TextClause, func, select, text

from jobs.domain import ImageKey, ImageRef, Job, JobId, ModelRef, NewJob, RetryImages
from jobs.domain.states import FINAL, JobState
from jobs.errors import ErrorCode, RequestRefused, VerdictsRemoved
from jobs.lifecycle.job_table import JobTable
from jobs.sql.database import reading
from jobs.sql.tables import verdicts

_CHUNK = 500
_NAME = re.compile(r"(retry|rescreen)(?: ([0-9]{1,6}))? of (.*)", re.DOTALL)


class Retries(JobTable):
    """Images of jobs that are over, once more."""

    def count_again(
        self, job_id: JobId, images: RetryImages = RetryImages.FAILED, codes: Sequence[ErrorCode] = ()
    ) -> int:
        """How many they are; `codes`: of failed ones, only those with one of these error codes."""
        wanted = select(func.count()).select_from(verdicts).where(*_which(job_id, images, codes))
        with reading(self._engine) as connection:
            return int(connection.execute(wanted).scalar_one())

    def images_again(
        self, job_id: JobId, images: RetryImages = RetryImages.FAILED, codes: Sequence[ErrorCode] = ()
    ) -> Iterator[ImageRef]:
        """The same images, in manifest order, streamed.

        Without their ETag and size: they may have been mended since, and the old ones would then name bytes that were
        never screened. A version that was asked for stays.
        """
        wanted = (
            select(verdicts.c.container, verdicts.c.key, verdicts.c.version_id, verdicts.c.case_name)
            .where(*_which(job_id, images, codes))
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


def _which(job_id: JobId, images: RetryImages, codes: Sequence[ErrorCode]) -> list[ColumnElement[bool] | TextClause]:
    of_job = verdicts.c.job_id == job_id
    if images is RetryImages.ALL:
        return [of_job]
    # as the partial indexes say it
    if images is RetryImages.FLAGGED:
        return [of_job, text("verdicts.flagged")]
    if images is RetryImages.REVIEWED:
        return [of_job, verdicts.c.review.is_not(None)]
    failed: list[ColumnElement[bool] | TextClause] = [of_job, verdicts.c.error_code.is_not(None)]
    return [*failed, verdicts.c.error_code.in_([code.value for code in codes])] if codes else failed


def retry_request(
    job: Job,
    codes: Sequence[ErrorCode] = (),
    *,
    images: RetryImages = RetryImages.FAILED,
    model: ModelRef | None = None,
    name: str | None = None,
    threshold: float | None = None,
    policy: dict[str, Any] | None = None,
) -> NewJob:
    """What to submit so that the failed images of `job`, or others, are taken again, asked for as `job` was.

    `model` is another than the job's, `threshold` another than the job's, with the `policy` it stands for. Raises
    RequestRefused when the job is not over: its verdicts are still coming. The new job has a name of its own; one of
    failed images never gives up, as all of them have failed before.
    """
    verb = "retry" if images is RetryImages.FAILED else "rescreen"
    if job.state not in FINAL:
        raise RequestRefused(job.id, verb, job.state, "its verdicts are known when it is over")
    if job.state is JobState.DELETING:
        raise RequestRefused(job.id, verb, job.state, "its verdicts are being deleted")
    if job.verdicts_removed_at is not None:
        raise VerdictsRemoved(job.id, verb, job.state)
    before = job.options.failure_threshold
    options = replace(
        job.options,
        name=name or retry_name(job, verb),
        confirm=False,
        failure_threshold=replace(before, ratio=1.0) if verb == "retry" else before,
        retry_of=job.id,
        retry_images=images,
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


def retry_name(job: Job, verb: str = "retry") -> str:
    """ "retry of NAME", then "retry 2 of NAME"; a job without a name is known by its id."""
    name = job.options.name or job.id
    again = _NAME.fullmatch(name) if job.options.retry_of else None
    if again is None or again.group(1) != verb:
        return f"{verb} of {name}"
    return f"{verb} {int(again.group(2) or 1) + 1} of {again.group(3)}"
