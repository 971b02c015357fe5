"""A job in the hands of the one who freezes its corpus: held under a lease, filled with shards, let go.

The place reached in the source is written together with the shards up to there, so that whoever takes over goes on
from that place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from jobs.domain import Cursor, ImageRef, Job, JobId, ManifestProblem, Preparing, Work, WorkKind
from jobs.domain.states import JobState, check_transition
from jobs.errors import WorkLost
from jobs.leased_work.enqueueing import withdraw
from jobs.lifecycle.job_table import ERROR_LIMIT, JobTable, by_id
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Preparation:
    """A job in the hands of the one who freezes its corpus."""

    #: with the counts that belong to the cursor
    job: Job
    work: Work
    #: where an earlier preparer got to; None at the beginning
    cursor: Cursor | None = None


class PreparationLeases(JobTable):
    """The operations of preparing. All but the claim raise WorkLost."""

    def claim_preparation(self, lease_s: float, job_id: JobId | None = None) -> Preparation | None:
        """Take the most urgent job, then the oldest, that waits to be prepared or whose preparer vanished."""
        for work in self.work.claim(WorkKind.PREPARATION, 1, lease_s, job_id=job_id):
            return self.begin_preparation(work)
        return None

    def begin_preparation(self, work: Work) -> Preparation:
        """The job of a piece of work that was claimed.

        What an earlier preparer left is kept when it is known where that one got to in the source, else removed.
        Raises WorkLost.
        """
        job_id = JobId(work.subject)
        with writing(self._engine) as connection:
            before = self._locked(connection, job_id)
            if before.state == JobState.PREPARING.value:
                return self._begin(connection, before, work)
            withdraw(connection, WorkKind.PREPARATION, job_id)  # nobody needs to take it again
        raise WorkLost(work.kind, work.subject)

    def _begin(self, connection: Connection, before: Row[Any], work: Work) -> Preparation:
        job_id = JobId(before.id)
        kept = {"bad_lines": 0} if before.preparation_cursor else _NOTHING_FOUND
        self._change(connection, job_id, work, **kept)
        self.work.hold_in(connection, work)
        _forget(connection, job_id, shards_too=not before.preparation_cursor)
        row = connection.execute(by_id(job_id)).one()
        return Preparation(job=job_from_row(row), work=work, cursor=row.preparation_cursor or None)

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
        """Keep what was found, and the job with it: one more shard, counts, problems, the place reached."""
        values: dict[str, Any] = {}
        if shard:
            values["total"] = jobs.c.total + len(shard)
        if cursor is not None:
            values["preparation_cursor"] = cursor
        with self._holding(preparation, lease_s, **values, **_counts(ignored, found)) as connection:
            if shard:
                insert_shard(connection, preparation.job.id, first_ordinal, shard)
            if problems:
                _insert_problems(connection, preparation.job.id, problems)

    def rest_preparation(self, preparation: Preparation, rest_s: float, reason: str) -> None:
        """Nobody goes on with it before `rest_s` seconds are over, for this reason, which is shown meanwhile."""
        error = storable(reason, limit=ERROR_LIMIT)
        with self._holding(preparation, preparation_error=error) as connection:
            self.work.release_in(connection, preparation.work, after_s=rest_s, reason=reason)

    def finish_preparation(self, preparation: Preparation, *, ignored: int, found: Preparing | None = None) -> None:
        """The corpus is frozen; its shards may be claimed, once a person agreed where that was asked for."""
        after = JobState.AWAITING_CONFIRMATION if preparation.job.options.confirm else JobState.READY
        check_transition(JobState.PREPARING, after)
        values = {"state": after.value, "preparation_cursor": None, **_counts(ignored, found)}
        with self._holding(preparation, **values) as connection:
            self.work.finish_in(connection, preparation.work)
            arrived(connection, preparation.job.id, after, self._clock)

    def restart_preparation(self, preparation: Preparation) -> None:
        """Forget what was prepared so far: the source is another one now."""
        with self._holding(preparation, **_NOTHING_FOUND) as connection:
            _forget(connection, preparation.job.id, shards_too=True)

    def release_preparation(self, preparation: Preparation) -> None:
        """Give the job back unprepared, so that the next one may start at once."""
        with self._holding(preparation) as connection:
            self.work.release_in(connection, preparation.work)

    def fail_preparation(self, preparation: Preparation, reason: str) -> None:
        """The corpus cannot be frozen: fail the job, unless somebody else prepares it."""
        self.fail_preparing(preparation.work, reason)

    def fail_preparing(self, work: Work, reason: str) -> None:
        """The same for a job that was not begun with. Raises WorkLost."""
        check_transition(JobState.PREPARING, JobState.FAILING)
        job_id = JobId(work.subject)
        values = {"state": JobState.FAILING.value, "error": storable(reason, limit=ERROR_LIMIT)}
        with writing(self._engine) as connection:
            self._change(connection, job_id, work, **values, preparation_cursor=None)
            self.work.fail_in(connection, work, reason, again_after_s=None)
            arrived(connection, job_id, JobState.FAILING, self._clock)
            settle_job(connection, job_id, self._clock)

    def problems(self, job_id: str) -> list[ManifestProblem]:
        """The first lines of the job's manifest that name no image, in their order. Raises JobNotFound."""
        known = self.get(job_id).id
        wanted = select(manifest_problems).where(manifest_problems.c.job_id == known).order_by(manifest_problems.c.line)
        with reading(self._engine) as connection:
            return [ManifestProblem(line=row.line, reason=row.reason) for row in connection.execute(wanted)]

    @contextmanager
    def _holding(self, preparation: Preparation, lease_s: float | None = None, **values: Any) -> Iterator[Connection]:
        """A transaction that changes the job while it is being prepared by the holder of this work."""
        with writing(self._engine) as connection:
            self._change(connection, preparation.job.id, preparation.work, **values)
            self.work.hold_in(connection, preparation.work, lease_s)
            yield connection

    @staticmethod
    def _change(connection: Connection, job_id: JobId, work: Work, **values: Any) -> None:
        """The job first, then the work: everybody locks them in this order."""
        changed = (
            update(jobs)
            .where(jobs.c.id == job_id, jobs.c.state == JobState.PREPARING.value)
            .values(**{"preparation_error": None} | values)  # it goes on, unless it is said that it waits
        )
        if connection.execute(changed).rowcount != 1:
            raise WorkLost(work.kind, work.subject)


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
