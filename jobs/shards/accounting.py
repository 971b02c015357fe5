"""Verdicts and the job's counters, written together; a job of which too much fails ends in the same transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, update

from jobs.domain import Counts, FailureThreshold, JobId, Verdict
from jobs.domain.states import RECORDING, JobState
from jobs.errors import ErrorCode
from jobs.shards.failure_threshold import give_up_reason, too_many_failed
from jobs.shards.recording import insert_verdicts
from jobs.sql.rows import Clock
from jobs.sql.tables import jobs, verdicts
from jobs.sql.transitions import move_job

_COUNTERS = (jobs.c.scored, jobs.c.flagged, jobs.c.reused, jobs.c.failed)
#: what decides whether too much of a job failed; a job has fifty columns more, and this is done for every shard
_COUNTED = (
    jobs.c.id, jobs.c.state, jobs.c.total, *_COUNTERS, jobs.c.failure_ratio, jobs.c.failure_sample,
)  # fmt: skip

# built once: for every shard that is finished, it would take as long as what it does
_COUNT = (
    update(jobs)
    .where(jobs.c.id == bindparam("of_job"))
    .values({column: column + bindparam(f"more_{column.name}") for column in _COUNTERS})
    .returning(*_COUNTED)
)


def record_verdicts(
    connection: Connection, job_id: JobId, results: Sequence[Verdict], clock: Clock, *, now: float | None = None
) -> JobState:
    """Insert the verdicts, count them, and fail the job when its failure threshold is passed; gives its state.

    For a caller that has locked the job's row (`FOR UPDATE`): rows that refer to it lock it, too, but less, and two who
    began with that would wait for each other. `now`: what the clock has said in this transaction, if it is known.
    """
    insert_verdicts(connection, job_id, results, clock, now=now)
    failed = sum(verdict.error_code is not None for verdict in results)
    reused = sum(verdict.reused for verdict in results if verdict.error_code is None)
    more = {
        "of_job": job_id,
        "more_scored": len(results) - failed - reused,
        "more_flagged": sum(verdict.flagged for verdict in results),
        "more_reused": reused,
        "more_failed": failed,
    }
    counted = connection.execute(_COUNT, more).one()
    return _given_up_if_too_much_failed(connection, counted, clock)


def _given_up_if_too_much_failed(connection: Connection, row: Row[Any], clock: Clock) -> JobState:
    state, job_id = JobState(row.state), JobId(row.id)
    counts = Counts(total=row.total, scored=row.scored, flagged=row.flagged, reused=row.reused, failed=row.failed)
    threshold = FailureThreshold(ratio=row.failure_ratio, sample=row.failure_sample)
    if state not in RECORDING or not too_many_failed(counts, threshold):
        return state
    reason = give_up_reason(counts, threshold, _error_counts(connection, job_id))
    move_job(connection, job_id, state, JobState.FAILING, clock, error=reason)
    return JobState.FAILING


def _error_counts(connection: Connection, job_id: JobId) -> dict[ErrorCode, int]:
    counted = (
        select(verdicts.c.error_code, func.count())
        .where(verdicts.c.job_id == job_id, verdicts.c.error_code.is_not(None))
        .group_by(verdicts.c.error_code)
        .order_by(verdicts.c.error_code)
    )
    return {ErrorCode(code): images for code, images in connection.execute(counted)}
