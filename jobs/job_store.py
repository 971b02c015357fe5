"""Jobs in SQL: submit, look up, prepare, cancel, fail, complete. Every change of state goes through `states`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Select, delete, exists, false, insert, literal, or_, select, update

from jobs.database import reading, writing
from jobs.domain import ImageRef, Job, JobId, NewJob
from jobs.entries import pack_entries
from jobs.errors import InvalidSource, JobNotFound, JobsError
from jobs.rows import Clock, database_clock, filters_to_json, job_from_row, options_to_row
from jobs.states import CLAIMABLE, FINAL, JobState, ShardState, check_transition, settled
from jobs.stored_text import is_storable, storable
from jobs.tables import jobs, shard_entries, shards

_ERROR_LIMIT = 4000
_ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"

#: written out, so that both databases see that the partial indexes fit
_LEASED = literal(ShardState.LEASED.value, literal_execute=True)


class PreparationLost(JobsError):
    """Somebody else prepares the job now, or it was cancelled: this preparation must stop."""

    def __init__(self, job_id: JobId) -> None:
        self.job_id = job_id
        super().__init__(f"the preparation of job {job_id} was taken over or the job was cancelled")


@dataclass(frozen=True, kw_only=True, slots=True)
class Preparation:
    """A job in the hands of the one who freezes its corpus."""

    job: Job
    fence: int


def new_job_id() -> JobId:
    """A new id: 9 characters of time, so that ids sort by age, and 7 of chance; easy to read out and to type."""
    milliseconds = time.time_ns() // 1_000_000
    digits = [_ID_ALPHABET[(milliseconds >> shift) & 31] for shift in range(40, -1, -5)]
    return JobId("".join(digits) + "".join(secrets.choice(_ID_ALPHABET) for _ in range(7)))


class JobStore:
    """The jobs of one database."""

    def __init__(self, engine: Engine, clock: Clock = database_clock) -> None:
        self._engine = engine
        self._clock = clock

    def submit(self, new: NewJob) -> JobId:
        """Enqueue a job; whoever runs a dispatcher on this database takes it from here.

        Raises InvalidSource for a source that is not text; such a folder can be given as file:/// with %XX in it.
        """
        if not is_storable(new.source):
            raise InvalidSource(new.source, "it is not text; write it as file:///path with %XX for the odd bytes")
        job_id = new_job_id()
        row = {
            "id": job_id,
            "state": JobState.PREPARING.value,
            "source": new.source,
            "filters": filters_to_json(new.filters),
            "model_name": new.model.name,
            "model_fingerprint": new.model.fingerprint,
            "threshold": new.threshold,
            "policy": new.policy,
            **options_to_row(new.options),
        }
        with writing(self._engine) as connection:
            connection.execute(insert(jobs).values(**row, created_at=self._clock()))
        return job_id

    def get(self, job_id: str) -> Job:
        """The job of this id. Raises JobNotFound."""
        with reading(self._engine) as connection:
            row = connection.execute(_by_id(job_id)).one_or_none()
        if row is None:
            raise JobNotFound(job_id)
        return job_from_row(row)

    def latest(self, limit: int = 20) -> list[Job]:
        """Jobs, newest first."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(jobs).order_by(jobs.c.id.desc()).limit(limit)).all()
        return [job_from_row(row) for row in rows]

    # -- preparation

    def claim_preparation(self, lease_s: float, job_id: JobId | None = None) -> Preparation | None:
        """Take the oldest job that waits to be prepared, or whose preparer vanished; what that one left is removed."""
        waiting = (
            select(jobs.c.id)
            .where(jobs.c.state == JobState.PREPARING.value)
            .where(or_(jobs.c.preparation_expires_at.is_(None), jobs.c.preparation_expires_at < self._clock()))
            .order_by(jobs.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if job_id is not None:
            waiting = waiting.where(jobs.c.id == job_id)
        with writing(self._engine) as connection:
            found = connection.execute(waiting).scalar_one_or_none()
            if found is None:
                return None
            connection.execute(delete(shards).where(shards.c.job_id == found))
            taken = connection.execute(
                update(jobs)
                .where(jobs.c.id == found)
                .values(
                    preparation_fence=jobs.c.preparation_fence + 1,
                    preparation_expires_at=self._clock() + literal(lease_s),
                    total=0,
                    ignored=0,
                )
                .returning(*jobs.c)
            ).one()
            return Preparation(job=job_from_row(taken), fence=taken.preparation_fence)

    def extend_preparation(
        self,
        preparation: Preparation,
        lease_s: float,
        *,
        shard: Sequence[ImageRef] = (),
        first_ordinal: int = 0,
        ignored: int | None = None,
    ) -> None:
        """Say that the preparer lives, and add one more shard. Raises PreparationLost."""
        counted = {} if ignored is None else {"ignored": ignored}
        with writing(self._engine) as connection:
            self._hold_preparation(
                connection,
                preparation,
                preparation_expires_at=self._clock() + literal(lease_s),
                total=jobs.c.total + len(shard),
                **counted,
            )
            if shard:
                insert_shard(connection, preparation.job.id, first_ordinal, shard)

    def finish_preparation(self, preparation: Preparation, *, ignored: int) -> None:
        """The corpus is frozen; its shards may be claimed. Raises PreparationLost."""
        check_transition(JobState.PREPARING, JobState.READY)
        with writing(self._engine) as connection:
            self._hold_preparation(
                connection,
                preparation,
                state=JobState.READY.value,
                preparation_expires_at=None,
                ignored=ignored,
            )

    def release_preparation(self, preparation: Preparation) -> None:
        """Give the job back unprepared, so that the next one may start at once."""
        with writing(self._engine) as connection:
            self._hold_preparation(connection, preparation, preparation_expires_at=None)

    def fail_preparation(self, preparation: Preparation, reason: str) -> None:
        """The corpus cannot be frozen: fail the job, unless somebody else prepares it. Raises PreparationLost."""
        check_transition(JobState.PREPARING, JobState.FAILING)
        error = storable(reason, limit=_ERROR_LIMIT)
        with writing(self._engine) as connection:
            self._hold_preparation(connection, preparation, state=JobState.FAILING.value, error=error)
            settle_job(connection, preparation.job.id, self._clock)

    def _hold_preparation(self, connection: Connection, preparation: Preparation, **values: Any) -> None:
        held = (
            update(jobs)
            .where(jobs.c.id == preparation.job.id)
            .where(jobs.c.state == JobState.PREPARING.value)
            .where(jobs.c.preparation_fence == preparation.fence)
            .values(**values)
        )
        if connection.execute(held).rowcount != 1:
            raise PreparationLost(preparation.job.id)

    # -- endings

    def cancel(self, job_id: str) -> Job:
        """Ask a job to stop; a job nobody works on stops at once. A job already over stays as it is."""
        return self._end(job_id, JobState.CANCELLING)

    def fail(self, job_id: str, reason: str) -> Job:
        """Stop a job that cannot go on, and keep the reason."""
        return self._end(job_id, JobState.FAILING, error=storable(reason, limit=_ERROR_LIMIT))

    def _end(self, job_id: str, state: JobState, **values: Any) -> Job:
        with writing(self._engine) as connection:
            row = connection.execute(_by_id(job_id).with_for_update()).one_or_none()
            if row is None:
                raise JobNotFound(job_id)
            job = job_from_row(row)
            if job.state not in FINAL and job.state not in (JobState.CANCELLING, JobState.FAILING):
                self._move(connection, job, state, **values)
                settle_job(connection, job.id, self._clock)
        return self.get(job_id)

    @staticmethod
    def _move(connection: Connection, job: Job, state: JobState, **values: Any) -> None:
        check_transition(job.state, state)
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(state=state.value, **values))

    def complete(self, job_id: JobId) -> Job:
        """Close a completing job. A job whose rows do not add up fails instead of claiming to be complete."""
        with writing(self._engine) as connection:
            row = connection.execute(_by_id(job_id).with_for_update()).one()
            job = job_from_row(row)
            if job.state is JobState.COMPLETING:
                if job.counts.done != job.counts.total:
                    error = f"{job.counts.done} verdicts for {job.counts.total} images"
                    self._move(connection, job, JobState.FAILING, error=error)
                    settle_job(connection, job_id, self._clock)
                else:
                    self._move(connection, job, JobState.COMPLETED, finished_at=self._clock())
        return self.get(job_id)

    def completing(self) -> list[JobId]:
        """Jobs whose shards are all done and that wait to be closed."""
        with reading(self._engine) as connection:
            found = select(jobs.c.id).where(jobs.c.state == JobState.COMPLETING.value)
            return [JobId(job_id) for job_id in connection.execute(found).scalars()]

    def attended(self, job_id: JobId) -> bool:
        """Whether somebody works on the job now: prepares it, or holds a shard of it."""
        now = self._clock()
        prepared = exists().where(jobs.c.id == job_id, jobs.c.preparation_expires_at >= now)
        held = exists().where(shards.c.job_id == job_id, shards.c.state == _LEASED, shards.c.lease_expires_at >= now)
        with reading(self._engine) as connection:
            return bool(connection.execute(select(or_(prepared, held))).scalar_one())

    def pinned_elsewhere(self, fingerprint: str) -> list[Job]:
        """Jobs that wait for shards to be scored, but are pinned to another model than `fingerprint`."""
        wanted = (
            select(jobs)
            .where(jobs.c.state.in_([state.value for state in CLAIMABLE]))
            .where(jobs.c.model_fingerprint != fingerprint)
        )
        with reading(self._engine) as connection:
            return [job_from_row(row) for row in connection.execute(wanted)]


def _by_id(job_id: str) -> Select[Any]:
    # what cannot be stored is nobody's id, and PostgreSQL would not take the question
    return select(jobs).where(jobs.c.id == job_id if is_storable(job_id) else false())


def insert_shard(connection: Connection, job_id: JobId, first_ordinal: int, entries: Sequence[ImageRef]) -> int:
    """Add one queued shard with its manifest; gives its id."""
    shard_id: int = connection.execute(
        insert(shards)
        .values(
            job_id=job_id,
            first_ordinal=first_ordinal,
            image_count=len(entries),
            state=ShardState.QUEUED.value,
        )
        .returning(shards.c.id)
    ).scalar_one()
    connection.execute(insert(shard_entries).values(shard_id=shard_id, entries=pack_entries(entries)))
    return shard_id


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
