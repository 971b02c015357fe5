"""The dispatcher: keeps a bounded number of shards in flight, and sees every job to its end.

It may be killed at any moment: whatever it held is rescued by the next one when the leases run out. Two may run on
one database at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.background import MaintenanceTask, in_background
from jobs.domain import JobId, Lease
from jobs.domain.states import FINAL
from jobs.errors import ErrorCode, LeaseLost
from jobs.leased_work.held import HeldWork
from jobs.leased_work.keeper import keeping
from jobs.lifecycle.job_store import JobStore
from jobs.outage import STORAGE_MAX_WAIT_S, BackOff, Outage, StorageOutage, reason
from jobs.ports import ModelHost, Outcome, OutcomeKind, ShardRunner
from jobs.screening.known_verdicts import KnownVerdicts
from jobs.shards.work_queue import WorkQueue
from jobs.sql.errors import DATABASE_AWAY

logger = logging.getLogger(__name__)

_DATABASE_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
#: how soon a cancelled job's shards are let go
_BEAT_S = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class DispatcherOptions:
    """How a dispatcher works."""

    #: shards in flight at once
    in_flight: int = 2
    #: how long a lease lives without a heartbeat
    lease_s: float = 60.0
    #: longest wait for something to happen
    poll_s: float = 0.25
    #: how long a job waits for the storage of its images before they fail
    storage_max_wait_s: float = STORAGE_MAX_WAIT_S
    #: work on this job alone
    only_job: JobId | None = None


class Dispatcher:
    """Leases shards, has them run, records the outcomes; slow work goes on beside that."""

    def __init__(
        self,
        *,
        store: JobStore,
        queue: WorkQueue,
        runner: ShardRunner,
        models: ModelHost,
        options: DispatcherOptions,
        held_work: HeldWork,
        maintenance: Sequence[MaintenanceTask] = (),
        known: KnownVerdicts | None = None,
    ) -> None:
        """`models`: jobs pinned to one that does not answer now wait for it, or for another dispatcher.

        `maintenance` tasks run in threads of their own: preparing, completion reports, webhooks; what they hold is in
        `held_work`. Without `known`, every image is scored, also those whose verdict an earlier job has.
        """
        self._store = store
        self._queue = queue
        self._runner = runner
        self._models = models
        self._options = options
        self._held_work = held_work
        self._maintenance = maintenance
        self._known = known
        self._stop = threading.Event()
        self._unrecorded: list[Outcome] = []
        self._next_heartbeat = 0.0
        self._pause_s = 0.0
        self._resume_at = 0.0
        self._model_outages: dict[str, BackOff] = {}
        self._outage = Outage()
        self._storage_outages: dict[JobId, StorageOutage] = {}

    def stop(self) -> None:
        """Ask `run` to end after its current step; safe from any thread and from a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Work until `stop`, or until the only job is over; then give everything held back to the queue."""
        with (
            keeping([self._held_work], lease_s=self._options.lease_s),
            in_background(self._maintenance, self._stop),
        ):
            try:
                while not self._stop.is_set():
                    self._step()
            finally:
                self._stop.set()
                self._give_back()

    def _step(self) -> None:
        try:
            self.tick()
        except DATABASE_AWAY as error:
            # leases live on for a while; what was finished meanwhile is recorded when the database is back
            self._outage.record_failure(reason(error))
            self._stop.wait(_DATABASE_PAUSE_S)
        else:
            self._outage.over()

    def tick(self) -> None:
        """One round: record, keep alive, rescue, claim, close; then wait for the next outcome."""
        self._record_outcomes()
        if time.monotonic() >= self._next_heartbeat:
            self._keep_alive()
            self._next_heartbeat = time.monotonic() + min(_BEAT_S, self._options.lease_s / 4)
        self._claim()
        self._close_jobs()
        if self._runner.running:
            self._unrecorded += self._runner.wait(self._options.poll_s)
        else:
            self._stop.wait(self._options.poll_s)

    def _keep_alive(self) -> None:
        held = self._runner.running
        lost = self._queue.heartbeat(held, self._options.lease_s) if held else []
        if lost:
            self._runner.abandon(lost)
            for lease in lost:
                self._queue.release(lease)  # a job that is to stop waits for this
        rescued = self._queue.rescue()
        if rescued:
            logger.warning("took %d shards back from workers that vanished", rescued)

    def _claim(self) -> None:
        free = self._options.in_flight - len(self._runner.running)
        models = [each for each in self._models.ready() if not self._is_resting(each)]
        if free <= 0 or not models or time.monotonic() < self._resume_at:
            return
        leases = self._queue.claim(
            free,
            self._options.lease_s,
            fingerprints=models,
            job_id=self._options.only_job,
            resting=[job_id for job_id, outage in self._storage_outages.items() if outage.resting],
        )
        for lease in leases:
            logger.info("shard %d of job %s, attempt %d, started", lease.shard_id, lease.job_id, lease.attempt)
            self._runner.start(self._recall(lease))

    def _is_resting(self, fingerprint: str) -> bool:
        outage = self._model_outages.get(fingerprint)
        return outage is not None and outage.resting

    def _recall(self, lease: Lease) -> Lease:
        """The lease with the verdicts that are known of its images. It is claimed: it must start in any case."""
        try:
            return lease if self._known is None else self._known.recall(lease)
        except DATABASE_AWAY as error:
            logger.warning("shard %d starts without what is known of its images: %s", lease.shard_id, reason(error))
            return lease

    def _close_jobs(self) -> None:
        for job_id in self._store.completing():
            self._store.complete(job_id)
            self._storage_outages.pop(job_id, None)
        only = self._options.only_job
        if only is None or self._store.get(only).state not in FINAL:
            return
        # what is told of its end belongs to it, as far as it can be told now
        if not any(task.pending(only) for task in self._maintenance):
            self._stop.set()

    def _record_outcomes(self) -> None:
        while self._unrecorded:
            self._record(self._unrecorded[0])
            # only now: a database that is away must not swallow an outcome
            self._unrecorded.pop(0)

    def _record(self, outcome: Outcome) -> None:
        """Write it down first, and tell it then: while the database is away this comes again every second."""
        lease = outcome.lease
        if outcome.kind is OutcomeKind.FINISHED:
            self._pause_s = 0.0
            self._model_outages.pop(lease.model.fingerprint, None)
            self._note_answer(outcome)
            try:
                self._queue.finish(lease, outcome.verdicts)
            except LeaseLost as error:
                logger.info("%s: its result is dropped", error)
            except DATABASE_AWAY:
                raise
            except Exception as error:
                # the next attempt would give the same: better a failed job than a dispatcher that dies of it
                self._give_up(lease, f"a result cannot be recorded: {type(error).__name__}: {error}")
                logger.exception("the result of shard %d cannot be recorded", lease.shard_id)
        elif outcome.kind is OutcomeKind.MODEL_AWAY:
            self._queue.release(lease, outcome.reason)
            outage = self._model_outages.setdefault(lease.model.fingerprint, BackOff(_LONGEST_PAUSE_S))
            rest_s = outage.record_failure()
            logger.warning("shard %d waits: %s; next try in %.0f s", lease.shard_id, outcome.reason, rest_s)
        elif outcome.kind is OutcomeKind.UNAVAILABLE:
            self._queue.release(lease, outcome.reason)
            self._pause_s = min(_LONGEST_PAUSE_S, 2 * self._pause_s or 1.0)
            self._resume_at = time.monotonic() + self._pause_s
            logger.warning("shard %d waits: %s; next try in %.0f s", lease.shard_id, outcome.reason, self._pause_s)
        elif outcome.kind is OutcomeKind.STORAGE_AWAY and self._may_wait(outcome):
            self._queue.release(lease, outcome.reason)
        elif outcome.kind is OutcomeKind.IMPOSSIBLE:
            self._give_up(lease, outcome.reason)
            logger.error("job %s cannot go on: %s", lease.job_id, outcome.reason)
        else:
            self._queue.fail_attempt(lease, outcome.reason)
            logger.warning("shard %d, attempt %d: %s", lease.shard_id, lease.attempt, outcome.reason)

    def _may_wait(self, outcome: Outcome) -> bool:
        """Whether the job rests until its storage is back, and the attempt does not count."""
        job_id = outcome.lease.job_id
        outage = self._storage_outages.setdefault(job_id, StorageOutage(job_id, self._options.storage_max_wait_s))
        return outage.record_failure(outcome.reason) is not None

    def _note_answer(self, outcome: Outcome) -> None:
        outage = self._storage_outages.get(outcome.lease.job_id)
        if outage is not None and any(verdict.error_code is not ErrorCode.TIMEOUT for verdict in outcome.verdicts):
            outage.answered()

    def _give_up(self, lease: Lease, why: str) -> None:
        self._store.fail(lease.job_id, why)
        self._queue.release(lease)

    def _give_back(self) -> None:
        """At the end: record what is finished, return the rest untouched, so that the next dispatcher need not wait."""
        self._unrecorded += self._runner.wait(0)
        held = self._runner.running
        self._runner.abandon(held)
        try:
            self._record_outcomes()
            for lease in held:
                self._queue.release(lease)
        except DATABASE_AWAY as error:
            logger.warning("the database is away; %d leases will run out by themselves: %s", len(held), reason(error))
