"""Where a job stands once its shards are looked at."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, exists, literal, select, update

from jobs.domain import JobId
from jobs.rows import Clock
from jobs.states import FINAL, JobState, ShardState, check_transition, settled
from jobs.tables import jobs, shards


def settle_job(connection: Connection, job_id: JobId, clock: Clock) -> JobState:
    """Move the job on if its shards allow it; called after whatever changes a shard or asks a job to stop."""
    row = connection.execute(select(jobs.c.state).where(jobs.c.id == job_id).with_for_update()).one()
    current = JobState(row.state)

    def any_in(state: ShardState) -> bool:
        # the literal state lets both databases use the partial indexes
        condition = (
            exists()
            .where(shards.c.job_id == job_id)
            .where(shards.c.state == literal(state.value, literal_execute=True))
        )
        return bool(connection.execute(select(condition)).scalar_one())

    after = settled(current, any_queued=any_in(ShardState.QUEUED), any_leased=any_in(ShardState.LEASED))
    if after is not current:
        check_transition(current, after)
        values: dict[str, Any] = {"state": after.value}
        if after in FINAL:
            values["finished_at"] = clock()
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(**values))
    return after
