"""The queue: shards are claimed, kept alive, finished, given back and rescued, on SQLite and PostgreSQL alike.

A claim is one transaction: locked looks at waiting shards (`FOR UPDATE SKIP LOCKED` on PostgreSQL; SQLite has one
writer at a time and needs no lock) and an update that raises the fence. Locks are taken in the order shard, then job.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Engine, Update, bindparam, func, literal, or_, select, update

from jobs.domain import Fingerprint, JobId, Lease, ModelRef, ShardId, Verdict
from jobs.domain.access import ProjectName
from jobs.domain.states import CLAIMABLE, FINAL, RECORDING, JobState, ShardState
from jobs.errors import LeaseLost
from jobs.shards.accounting import record_verdicts
from jobs.shards.claiming import find_waiting_shards
from jobs.shards.dividing import try_again
from jobs.shards.entries import unpack_entries
from jobs.sql.database import reading, writing
from jobs.sql.rows import Clock, database_clock
from jobs.sql.tables import LEASED, jobs, shard_entries, shards
from jobs.sql.tallies import SHARD, Retry, note_retries
from jobs.sql.transitions import move_job, settle_job
from jobs.stored_text import storable

#: seconds before the second attempt; doubled for each later one, up to the third
RETRY_AFTER_S = 2.0
_LONGEST_PAUSE_AFTER = 2


class WorkQueue:
    """The shards of one database, as one worker sees them."""

    def __init__(self, engine: Engine, worker: str, clock: Clock = database_clock) -> None:
        self._engine = engine
        #: its name, unlike that of any other process
        self.worker = worker
        self._clock = clock

    def claim(
        self,
        limit: int,
        lease_s: float,
        *,
        fingerprints: Collection[Fingerprint],
        job_id: JobId | None = None,
        resting: Collection[JobId] = (),
    ) -> list[Lease]:
        """Lease up to `limit` waiting shards of jobs pinned to these models, but of none that are `resting`.

        By priority, then in turns (see `claiming`), and in the order of the manifest.
        """
        with writing(self._engine) as connection:
            waiting = find_waiting_shards(connection, limit, fingerprints, self._clock, job_id, resting, lock=True)
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
                    started=False,
                    fence=shards.c.fence + 1,
                    lease_expires_at=self._clock() + literal(lease_s),
                    worker=self.worker,
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

    def waiting(
        self,
        limit: int,
        *,
        fingerprints: Collection[Fingerprint],
        job_id: JobId | None = None,
        resting: Collection[JobId] = (),
    ) -> int:
        """How many shards a claim like this would find now, up to `limit`; a look without locks."""
        with reading(self._engine) as connection:
            found = find_waiting_shards(connection, limit, fingerprints, self._clock, job_id, resting)
            return sum(len(ids) for ids in found.values())

    def heartbeat(
        self, leases: Sequence[Lease], lease_s: float, started: Collection[ShardId] | None = None
    ) -> list[Lease]:
        """Prolong the leases, in one statement; gives those that are lost, or whose job is to stop: drop their work.

        `started`: shards that a worker has begun with; None means all. Only these count as vanished should nobody be
        heard of them again.
        """
        if not leases:
            return []
        ids = [lease.shard_id for lease in leases]
        began = ids if started is None else [shard_id for shard_id in ids if shard_id in started]
        # by worker, not by fence: whoever claimed a shard again is the same process, and holds it
        longer = (
            update(shards)
            .where(shards.c.id.in_(ids), shards.c.worker == self.worker, shards.c.state == LEASED)
            .values(
                lease_expires_at=self._clock() + literal(lease_s),
                started=or_(shards.c.started, shards.c.id.in_(began)) if began else shards.c.started,
            )
            .returning(shards.c.id, shards.c.fence)
        )
        with writing(self._engine) as connection:
            kept = {(row.id, row.fence) for row in connection.execute(longer)}
        held = [lease for lease in leases if (lease.shard_id, lease.fence) in kept]
        unwanted = self.unwanted(held)
        return [lease for lease in leases if lease not in held or lease in unwanted]

    def unwanted(self, leases: Sequence[Lease]) -> list[Lease]:
        """Leases of jobs that want no results any more."""
        if not leases:
            return []
        job_ids = {lease.job_id for lease in leases}
        with reading(self._engine) as connection:
            found = connection.execute(select(jobs.c.id, jobs.c.state).where(jobs.c.id.in_(sorted(job_ids))))
            wanted = {row.id for row in found if JobState(row.state) in RECORDING}
        return [lease for lease in leases if lease.job_id not in wanted]

    def finish(self, lease: Lease, results: Sequence[Verdict]) -> JobState:
        """Record the shard: its verdicts, its state and the job's counters in one transaction, guarded by the fence.

        Raises LeaseLost when the shard is not this worker's any more or the job does not want results; nothing is
        written then. Raises ValueError unless there is exactly one verdict for each image of the shard.
        """
        expected = range(lease.first_ordinal, lease.first_ordinal + len(lease.entries))
        if sorted(verdict.ordinal for verdict in results) != list(expected):
            raise ValueError(f"shard {lease.shard_id} needs one verdict for each of its {len(lease.entries)} images")
        with writing(self._engine) as connection:
            if connection.execute(_DONE, {"held": lease.shard_id, "with_fence": lease.fence}).rowcount != 1:
                raise LeaseLost(lease.shard_id, lease.fence)
            of_job = select(jobs.c.state, self._clock().label("now")).where(jobs.c.id == lease.job_id)
            job = connection.execute(of_job.with_for_update()).one()
            if JobState(job.state) in RECORDING:
                found = _with_cases(lease, results)
                state = record_verdicts(connection, lease.job_id, found, self._clock, now=job.now)
                return settle_job(connection, lease.job_id, self._clock, locked=state)
            connection.execute(
                update(shards).where(shards.c.id == lease.shard_id).values(state=ShardState.QUEUED.value)
            )
            settle_job(connection, lease.job_id, self._clock)
        raise LeaseLost(lease.shard_id, lease.fence)

    def release(self, lease: Lease, reason: str | None = None) -> None:
        """Give a shard back untouched; nothing counts. Does nothing when the lease is lost already.

        `reason` is shown to people: what is waited for.
        """
        back = _held(lease.shard_id, lease.fence).values(
            state=ShardState.QUEUED.value,
            lease_expires_at=None,
            started=False,
            error=reason and storable(reason),
        )
        with writing(self._engine) as connection:
            if connection.execute(back).rowcount:
                settle_job(connection, lease.job_id, self._clock)

    def fail_attempt(self, lease: Lease, reason: str) -> None:
        """An attempt was started and went wrong on its own account: again after a while, or divided (`dividing`)."""
        self._tried_in_vain(lease, reason, failed=1)

    def vanished(self, lease: Lease, reason: str) -> None:
        """The worker that had the shard is gone: it is tried again after a while, and counted apart."""
        self._tried_in_vain(lease, reason, vanished=1)

    def _tried_in_vain(self, lease: Lease, reason: str, *, failed: int = 0, vanished: int = 0) -> None:
        with writing(self._engine) as connection:
            row = connection.execute(
                select(shards)
                .where(shards.c.id == lease.shard_id, shards.c.fence == lease.fence, shards.c.state == LEASED)
                .with_for_update()
            ).one_or_none()
            if row is None:
                return
            _lock_jobs(connection, [JobId(row.job_id)])  # before what refers to it: see `record_verdicts`
            tries = min(row.attempt if failed else row.vanished, _LONGEST_PAUSE_AFTER)
            try_again(
                connection,
                row,
                self._clock,
                reason,
                attempt=row.attempt + failed,
                vanished=row.vanished + vanished,
                pause_s=RETRY_AFTER_S * 2**tries,
            )
            settle_job(connection, lease.job_id, self._clock)
            note_retries(connection, SHARD, Retry.FAILED if failed else Retry.VANISHED)

    def rescue(self) -> int:
        """Take expired leases from workers that vanished; gives their number. Any worker may do it at any time.

        A shard that nobody had begun with is queued as it was.
        """
        expired = (
            select(shards)
            .where(shards.c.state == LEASED, shards.c.lease_expires_at < self._clock())
            .order_by(shards.c.job_id)  # as its index has them
            .with_for_update(skip_locked=True)
        )
        with writing(self._engine) as connection:
            rows = connection.execute(expired).all()
            job_ids = _lock_jobs(connection, {JobId(row.job_id) for row in rows})
            for row in rows:
                vanished = row.vanished + bool(row.started)
                counts = {"attempt": row.attempt, "vanished": vanished}
                try_again(connection, row, self._clock, "its worker vanished", **counts, pause_s=0.0)
            for job_id in job_ids:
                settle_job(connection, job_id, self._clock)
            note_retries(connection, SHARD, Retry.EXPIRED, len(rows))
        return len(rows)


def _with_cases(lease: Lease, results: Sequence[Verdict]) -> Sequence[Verdict]:
    """The job says which case an image belongs to, also where its verdict comes from elsewhere."""
    if not any(entry.case for entry in lease.entries):
        return results
    return [replace(each, case=lease.entries[each.ordinal - lease.first_ordinal].case) for each in results]


def _held(shard_id: Any, fence: Any) -> Update:
    """An update of a leased shard that touches nothing once somebody else has it."""
    return (
        update(shards)
        .where(shards.c.id == shard_id)
        .where(shards.c.fence == fence)
        .where(shards.c.state == ShardState.LEASED.value)
    )


# built once: for every shard that is finished, it would take as long as what it does
_DONE = _held(bindparam("held"), bindparam("with_fence")).values(
    state=ShardState.DONE.value, lease_expires_at=None, error=None
)


def _lock_jobs(connection: Connection, job_ids: Iterable[JobId]) -> dict[JobId, JobState]:
    """The jobs' states, locked in the order of their ids, so that two who need several never wait for each other."""
    locked = select(jobs.c.id, jobs.c.state).where(jobs.c.id.in_(list(job_ids))).order_by(jobs.c.id).with_for_update()
    return {JobId(row.id): JobState(row.state) for row in connection.execute(locked)}


# built once, as above: it has twenty-five columns
_LEASES = (
    select(
        shards,
        shard_entries.c.entries,
        jobs.c.model_name,
        jobs.c.model_fingerprint,
        jobs.c.threshold,
        jobs.c.heatmaps_from,
        jobs.c.project,
        jobs.c.rescore,
        jobs.c.trust_etags,
        jobs.c.traceparent,
    )
    .join(shard_entries, shard_entries.c.shard_id == shards.c.id)
    .join(jobs, jobs.c.id == shards.c.job_id)
    .where(shards.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(shards.c.job_id, shards.c.first_ordinal)
)


def _leases(connection: Connection, shard_ids: Sequence[int]) -> list[Lease]:
    rows = connection.execute(_LEASES, {"ids": list(shard_ids)})
    return [
        Lease(
            shard_id=ShardId(row.id),
            job_id=JobId(row.job_id),
            first_ordinal=row.first_ordinal,
            attempt=row.attempt + 1,
            vanished=row.vanished,
            fence=row.fence,
            expires_at=row.lease_expires_at,
            model=ModelRef(name=row.model_name, fingerprint=Fingerprint(row.model_fingerprint)),
            threshold=row.threshold,
            heatmaps_from=row.heatmaps_from,
            project=ProjectName(row.project),
            rescore=bool(row.rescore),
            trust_etags=bool(row.trust_etags),
            traceparent=row.traceparent,
            entries=unpack_entries(row.entries),
        )
        for row in rows
    ]
