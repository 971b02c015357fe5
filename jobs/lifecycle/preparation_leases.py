"""A job in the hands of the one who freezes its corpus: held under a lease, filled with shards, let go.

The place reached in the source is written together with the shards up to there, so that whoever takes over goes on
from that place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, literal, or_, select, update

from jobs.domain import Cursor, ImageRef, Job, JobId, ManifestProblem, Preparing
from jobs.domain.states import JobState, check_transition
from jobs.errors import JobsError
from jobs.lifecycle.job_table import ERROR_LIMIT, JobTable
from jobs.shards.shard_rows import insert_shard
from jobs.sql.database import reading, writing
from jobs.sql.rows import job_from_row
from jobs.sql.tables import jobs, manifest_problems, shards
from jobs.sql.transitions import arrived, settle_job
from jobs.stored_text import storable

_NOTHING_FOUND: dict[str, Any] = {
    "preparation_cursor": None,
    "total": 0,
    "ignored": 0,
    "seen": 0,
    "bytes": 0,
    "unsized": 0,
    "bad_lines": 0,
}


class PreparationLost(JobsError):
    """Somebody else prepares the job now, or it was cancelled: this preparation must stop."""

    def __init__(self, job_id: JobId) -> None:
        self.job_id = job_id
        super().__init__(f"the preparation of job {job_id} was taken over or the job was cancelled")


@dataclass(frozen=True, kw_only=True, slots=True)
class Preparation:
    """A job in the hands of the one who freezes its corpus."""

    #: with the counts that belong to the cursor
    job: Job
    fence: int
    #: where an earlier preparer got to; None at the beginning
    cursor: Cursor | None = None


class PreparationLeases(JobTable):
    """The operations of preparing. All but the claim raise PreparationLost."""

    def claim_preparation(self, lease_s: float, job_id: JobId | None = None) -> Preparation | None:
        """Take the most urgent job, then the oldest, that waits to be prepared or whose preparer vanished.

        What that one left is kept when it is known where it got to in the source, else removed.
        """
        waiting = (
            select(jobs.c.id, jobs.c.preparation_cursor)
            .where(jobs.c.state == JobState.PREPARING.value)
            .where(or_(jobs.c.preparation_expires_at.is_(None), jobs.c.preparation_expires_at < self._clock()))
            .order_by(jobs.c.priority.desc(), jobs.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if job_id is not None:
            waiting = waiting.where(jobs.c.id == job_id)
        with writing(self._engine) as connection:
            found = connection.execute(waiting).one_or_none()
            if found is None:
                return None
            kept = {"bad_lines": 0} if found.preparation_cursor else _NOTHING_FOUND
            _forget(connection, found.id, shards_too=not found.preparation_cursor)
            taken = connection.execute(
                update(jobs)
                .where(jobs.c.id == found.id)
                .values(
                    preparation_fence=jobs.c.preparation_fence + 1,
                    **self._held_for(lease_s),
                    **kept,
                )
                .returning(*jobs.c)
            ).one()
            return Preparation(
                job=job_from_row(taken), fence=taken.preparation_fence, cursor=taken.preparation_cursor or None
            )

    def extend_preparation(
        self,
        preparation: Preparation,
        lease_s: float,
        *,
        shard: Sequence[ImageRef] = (),
        first_ordinal: int = 0,
        ignored: int | None = None,
        found: Preparing | None = None,
        cursor: Cursor | None = None,
        problems: Sequence[ManifestProblem] = (),
    ) -> None:
        """Say that the preparer lives, and keep what it found: one more shard, counts, problems, the place reached."""
        values = self._held_for(lease_s)
        if shard:
            values["total"] = jobs.c.total + len(shard)
        if cursor is not None:
            values["preparation_cursor"] = cursor
        with writing(self._engine) as connection:
            self._hold(connection, preparation, **values, **_counts(ignored, found))
            if shard:
                insert_shard(connection, preparation.job.id, first_ordinal, shard)
            if problems:
                _insert_problems(connection, preparation.job.id, problems)

    def rest_preparation(self, preparation: Preparation, rest_s: float, reason: str) -> None:
        """Nobody goes on with it before `rest_s` seconds are over, for this reason, which is shown meanwhile."""
        error = storable(reason, limit=ERROR_LIMIT)
        with writing(self._engine) as connection:
            self._hold(connection, preparation, **self._held_for(rest_s), preparation_error=error)

    def finish_preparation(self, preparation: Preparation, *, ignored: int, found: Preparing | None = None) -> None:
        """The corpus is frozen; its shards may be claimed, once a person agreed where that was asked for."""
        after = JobState.AWAITING_CONFIRMATION if preparation.job.options.confirm else JobState.READY
        check_transition(JobState.PREPARING, after)
        with writing(self._engine) as connection:
            self._hold(
                connection,
                preparation,
                state=after.value,
                preparation_expires_at=None,
                preparation_cursor=None,
                **_counts(ignored, found),
            )

    def restart_preparation(self, preparation: Preparation) -> None:
        """Forget what was prepared so far: the source is another one now."""
        with writing(self._engine) as connection:
            self._hold(connection, preparation, **_NOTHING_FOUND)
            _forget(connection, preparation.job.id, shards_too=True)

    def release_preparation(self, preparation: Preparation) -> None:
        """Give the job back unprepared, so that the next one may start at once."""
        with writing(self._engine) as connection:
            self._hold(connection, preparation, preparation_expires_at=None)

    def fail_preparation(self, preparation: Preparation, reason: str) -> None:
        """The corpus cannot be frozen: fail the job, unless somebody else prepares it."""
        check_transition(JobState.PREPARING, JobState.FAILING)
        error = storable(reason, limit=ERROR_LIMIT)
        with writing(self._engine) as connection:
            self._hold(connection, preparation, state=JobState.FAILING.value, error=error, preparation_cursor=None)
            settle_job(connection, preparation.job.id, self._clock)

    def problems(self, job_id: str) -> list[ManifestProblem]:
        """The first lines of the job's manifest that name no image, in their order. Raises JobNotFound."""
        known = self.get(job_id).id
        wanted = select(manifest_problems).where(manifest_problems.c.job_id == known).order_by(manifest_problems.c.line)
        with reading(self._engine) as connection:
            return [ManifestProblem(line=row.line, reason=row.reason) for row in connection.execute(wanted)]

    def _held_for(self, lease_s: float) -> dict[str, Any]:
        return {"preparation_expires_at": self._clock() + literal(lease_s)}

    def _hold(self, connection: Connection, preparation: Preparation, **values: Any) -> None:
        held = (
            update(jobs)
            .where(jobs.c.id == preparation.job.id)
            .where(jobs.c.state == JobState.PREPARING.value)
            .where(jobs.c.preparation_fence == preparation.fence)
            .values(**{"preparation_error": None} | values)  # it goes on, unless it is said that it waits
        )
        if connection.execute(held).rowcount != 1:
            raise PreparationLost(preparation.job.id)
        if "state" in values:
            arrived(connection, preparation.job.id, JobState(values["state"]), self._clock)


def _forget(connection: Connection, job_id: str, *, shards_too: bool) -> None:
    """Remove what an earlier preparer left; lists are read from their beginning, so their problems come again."""
    connection.execute(delete(manifest_problems).where(manifest_problems.c.job_id == job_id))
    if shards_too:
        connection.execute(delete(shards).where(shards.c.job_id == job_id))


def _counts(ignored: int | None, found: Preparing | None) -> dict[str, Any]:
    counted: dict[str, Any] = {} if ignored is None else {"ignored": ignored}
    if found is not None:
        counted |= {
            "seen": found.seen,
            "bytes": found.bytes,
            "unsized": found.unsized,
            "bad_lines": found.bad_lines,
        }
    return counted


def _insert_problems(connection: Connection, job_id: JobId, problems: Sequence[ManifestProblem]) -> None:
    connection.execute(
        insert(manifest_problems),
        [
            {"job_id": job_id, "line": problem.line, "reason": storable(problem.reason, limit=ERROR_LIMIT)}
            for problem in problems
        ],
    )
