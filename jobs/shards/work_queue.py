"""The queue: shards are claimed, kept alive, finished, given back and rescued, on SQLite and PostgreSQL alike.

A claim is one transaction: locked looks at waiting shards (`FOR UPDATE SKIP LOCKED` on PostgreSQL; SQLite has one
writer at a time and needs no lock) and an update that raises the fence. Locks are taken in the order shard, then job.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, literal, select, update

from jobs.domain import ImageRef, JobId, Lease, ModelRef, ShardId, Verdict
from jobs.domain.shards import MAX_ATTEMPTS
from jobs.domain.states import CLAIMABLE, FINAL, RECORDING, JobState, ShardState
from jobs.domain.verdicts import failed_verdict
from jobs.errors import ErrorCode, LeaseLost
from jobs.shards.accounting import record_verdicts
from jobs.shards.claiming import lock_waiting_shards
from jobs.shards.entries import pack_entries, unpack_entries
from jobs.shards.shard_rows import insert_shard
from jobs.sql.database import writing
from jobs.sql.rows import Clock, database_clock
from jobs.sql.tables import LEASED, jobs, shard_entries, shards
from jobs.sql.transitions import move_job, settle_job
from jobs.stored_text import storable

#: the same where workers vanished: dispatchers are stopped and killed for reasons that lie elsewhere
MAX_VANISHED = 10
#: seconds before the second attempt; doubled for each later one
RETRY_AFTER_S = 2.0


class WorkQueue:
    """The shards of one database, as one worker sees them."""

    def __init__(self, engine: Engine, worker: str, clock: Clock = database_clock) -> None:
        self._engine = engine
        self._worker = worker
        self._clock = clock

    def claim(
        self,
        limit: int,
        lease_s: float,
        *,
        fingerprints: Collection[str],
        job_id: JobId | None = None,
        resting: Collection[JobId] = (),
    ) -> list[Lease]:
        """Lease up to `limit` waiting shards of jobs pinned to these models, but of none that are `resting`.

        By priority, then in turns (see `claiming`), and in the order of the manifest.
        """
        with writing(self._engine) as connection:
            waiting = lock_waiting_shards(connection, limit, fingerprints, self._clock, job_id, resting)
            # under its lock, a job that ended or was paused since the look above shows it
            states = _lock_jobs(connection, waiting)
            self._clear_leftovers(connection, [i for job, ids in waiting.items() if states[job] in FINAL for i in ids])
            found = [i for job, ids in waiting.items() if states[job] in CLAIMABLE for i in ids]
            if not found:
                return []
            connection.execute(
                update(shards)
                .where(shards.c.id.in_(found))
                .values(
                    state=ShardState.LEASED.value,
                    attempt=shards.c.attempt + 1,
                    fence=shards.c.fence + 1,
                    lease_expires_at=self._clock() + literal(lease_s),
                    worker=self._worker,
                )
            )
            leases = _leases(connection, found)
            self._note_turns(connection, {job: states[job] for job in {lease.job_id for lease in leases}})
            return leases

    def _note_turns(self, connection: Connection, states: dict[JobId, JobState]) -> None:
        """These jobs had their turn; for some of them it was the first."""
        now = self._clock()
        connection.execute(
            update(jobs)
            .where(jobs.c.id.in_(sorted(states)))
            .values(claimed_at=now, started_at=func.coalesce(jobs.c.started_at, now))
        )
        for job_id, state in states.items():
            if state is JobState.READY:
                move_job(connection, job_id, state, JobState.RUNNING, self._clock)

    @staticmethod
    def _clear_leftovers(connection: Connection, shard_ids: list[int]) -> None:
        """Shards that this claim had in its hands while their job ended: see `transitions`."""
        if shard_ids:
            connection.execute(
                update(shards).where(shards.c.id.in_(shard_ids)).values(state=ShardState.CANCELLED.value)
            )

    def heartbeat(self, leases: Sequence[Lease], lease_s: float) -> list[Lease]:
        """Prolong the leases; gives back those that are lost, or whose job is to stop: drop their work."""
        lost = []
        with writing(self._engine) as connection:
            for lease in leases:
                kept = connection.execute(
                    _held(lease).values(lease_expires_at=self._clock() + literal(lease_s)).returning(shards.c.job_id)
                ).one_or_none()
                if kept is None or _job_state(connection, lease.job_id) not in RECORDING:
                    lost.append(lease)
        return lost

    def finish(self, lease: Lease, results: Sequence[Verdict]) -> JobState:
        """Record the shard: its verdicts, its state and the job's counters in one transaction, guarded by the fence.

        Raises LeaseLost when the shard is not this worker's any more or the job does not want results; nothing is
        written then. Raises ValueError unless there is exactly one verdict for each image of the shard.
        """
        expected = range(lease.first_ordinal, lease.first_ordinal + len(lease.entries))
        if sorted(verdict.ordinal for verdict in results) != list(expected):
            raise ValueError(f"shard {lease.shard_id} needs one verdict for each of its {len(lease.entries)} images")
        with writing(self._engine) as connection:
            done = _held(lease).values(state=ShardState.DONE.value, lease_expires_at=None, error=None)
            if connection.execute(done).rowcount != 1:
                raise LeaseLost(lease.shard_id, lease.fence)
            if _job_state(connection, lease.job_id, lock=True) in RECORDING:
                record_verdicts(connection, lease.job_id, results, self._clock)
                return settle_job(connection, lease.job_id, self._clock)
            connection.execute(
                update(shards).where(shards.c.id == lease.shard_id).values(state=ShardState.QUEUED.value)
            )
            settle_job(connection, lease.job_id, self._clock)
        raise LeaseLost(lease.shard_id, lease.fence)

    def release(self, lease: Lease, reason: str | None = None) -> None:
        """Give a shard back untouched; the attempt does not count. Does nothing when the lease is lost already.

        `reason` is shown to people: what is waited for.
        """
        back = _held(lease).values(
            state=ShardState.QUEUED.value,
            lease_expires_at=None,
            attempt=shards.c.attempt - 1,
            error=reason and storable(reason),
        )
        with writing(self._engine) as connection:
            if connection.execute(back).rowcount:
                settle_job(connection, lease.job_id, self._clock)

    def fail_attempt(self, lease: Lease, reason: str) -> None:
        """An attempt went wrong: queue the shard again after a while, or divide it when its attempts are used up.

        One image may be at fault, by killing its worker, say: the halves get one more attempt each, and so on until
        the culprit stands alone. Only that one is set aside, with an error code.
        """
        with writing(self._engine) as connection:
            row = connection.execute(
                select(shards)
                .where(shards.c.id == lease.shard_id, shards.c.fence == lease.fence, shards.c.state == LEASED)
                .with_for_update()
            ).one_or_none()
            if row is not None:
                self._retry_or_divide(connection, row, reason, MAX_ATTEMPTS, RETRY_AFTER_S * 2 ** (row.attempt - 1))
                settle_job(connection, lease.job_id, self._clock)

    def rescue(self) -> int:
        """Take expired leases from workers that vanished; gives their number. Any worker may do it at any time.

        A worker is seldom killed by what it screens, so this weighs less than a failed attempt, but not nothing.
        """
        expired = (
            select(shards)
            .where(shards.c.state == LEASED, shards.c.lease_expires_at < self._clock())
            .order_by(shards.c.job_id, shards.c.lease_expires_at)  # as its index has them
            .with_for_update(skip_locked=True)
        )
        with writing(self._engine) as connection:
            rows = connection.execute(expired).all()
            job_ids = _lock_jobs(connection, {JobId(row.job_id) for row in rows})
            for row in rows:
                self._retry_or_divide(connection, row, "its worker vanished", MAX_VANISHED, 0.0)
            for job_id in job_ids:
                settle_job(connection, job_id, self._clock)
        return len(rows)

    def _retry_or_divide(
        self, connection: Connection, row: Row[Any], reason: str, most_attempts: int, pause_s: float
    ) -> None:
        again: dict[str, Any] = {
            "state": ShardState.QUEUED.value,
            "lease_expires_at": None,
            "error": storable(reason),
        }
        if row.attempt < most_attempts:
            again["not_before"] = self._clock() + literal(pause_s)
        elif row.image_count > 1:
            self._split(connection, row)
            again |= {"image_count": row.image_count // 2, "attempt": MAX_ATTEMPTS - 1}
        else:
            self._set_aside(connection, row, reason)
            return
        connection.execute(update(shards).where(shards.c.id == row.id).values(**again))

    def _split(self, connection: Connection, row: Row[Any]) -> None:
        """Keep the first half in the shard, put the second into a new one; each half gets one more attempt."""
        entries = _entries(connection, row.id)
        half = row.image_count // 2
        connection.execute(
            update(shard_entries).where(shard_entries.c.shard_id == row.id).values(entries=pack_entries(entries[:half]))
        )
        second = insert_shard(connection, JobId(row.job_id), row.first_ordinal + half, entries[half:])
        connection.execute(update(shards).where(shards.c.id == second).values(attempt=MAX_ATTEMPTS - 1))

    def _set_aside(self, connection: Connection, row: Row[Any], reason: str) -> None:
        """Give up on the shard, but not on the accounting: each of its images gets an error code."""
        connection.execute(
            update(shards)
            .where(shards.c.id == row.id)
            .values(state=ShardState.FAILED.value, lease_expires_at=None, error=storable(reason))
        )
        fingerprint = connection.execute(select(jobs.c.model_fingerprint).where(jobs.c.id == row.job_id)).scalar_one()
        message = f"set aside after {row.attempt} attempts: {reason}"
        failed = [
            failed_verdict(entry, row.first_ordinal + i, fingerprint, ErrorCode.MODEL_ERROR, message)
            for i, entry in enumerate(_entries(connection, row.id))
        ]
        record_verdicts(connection, JobId(row.job_id), failed, self._clock)


def _held(lease: Lease) -> Any:
    """An update of the leased shard that touches nothing once somebody else has it."""
    return (
        update(shards)
        .where(shards.c.id == lease.shard_id)
        .where(shards.c.fence == lease.fence)
        .where(shards.c.state == ShardState.LEASED.value)
    )


def _job_state(connection: Connection, job_id: JobId, *, lock: bool = False) -> JobState:
    looked_up = select(jobs.c.state).where(jobs.c.id == job_id)
    return JobState(connection.execute(looked_up.with_for_update() if lock else looked_up).scalar_one())


def _lock_jobs(connection: Connection, job_ids: Iterable[JobId]) -> dict[JobId, JobState]:
    """The jobs' states, locked in the order of their ids, so that two who need several never wait for each other."""
    locked = select(jobs.c.id, jobs.c.state).where(jobs.c.id.in_(list(job_ids))).order_by(jobs.c.id).with_for_update()
    return {JobId(row.id): JobState(row.state) for row in connection.execute(locked)}


def _entries(connection: Connection, shard_id: int) -> tuple[ImageRef, ...]:
    packed = select(shard_entries.c.entries).where(shard_entries.c.shard_id == shard_id)
    return unpack_entries(connection.execute(packed).scalar_one())


def _leases(connection: Connection, shard_ids: Sequence[int]) -> list[Lease]:
    rows = connection.execute(
        select(
            shards,
            shard_entries.c.entries,
            jobs.c.model_name,
            jobs.c.model_fingerprint,
            jobs.c.threshold,
            jobs.c.rescore,
        )
        .join(shard_entries, shard_entries.c.shard_id == shards.c.id)
        .join(jobs, jobs.c.id == shards.c.job_id)
        .where(shards.c.id.in_(shard_ids))
        .order_by(shards.c.job_id, shards.c.first_ordinal)
    )
    return [
        Lease(
            shard_id=ShardId(row.id),
            job_id=JobId(row.job_id),
            first_ordinal=row.first_ordinal,
            attempt=row.attempt,
            fence=row.fence,
            expires_at=row.lease_expires_at,
            model=ModelRef(name=row.model_name, fingerprint=row.model_fingerprint),
            threshold=row.threshold,
            rescore=bool(row.rescore),
            entries=unpack_entries(row.entries),
        )
        for row in rows
    ]
