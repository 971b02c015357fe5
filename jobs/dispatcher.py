"""The dispatcher: keeps a bounded number of shards in flight, and sees every job to its end.

It may be killed at any moment: whatever it held is rescued by the next one when the leases run out. Two may run on
one database at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.background import MaintenanceTask, in_background
from jobs.domain import JobId, Lease
from jobs.domain.states import FINAL
from jobs.leased_work.held import HeldWork
from jobs.leased_work.keeper import keeping
from jobs.lifecycle.job_store import JobStore
from jobs.log_context import about
from jobs.outage import STORAGE_MAX_WAIT_S, Outage, reason
from jobs.outcomes import OutcomeRecorder
from jobs.ports import ModelHost, Outcome, ShardRunner
from jobs.registry.dispatchers import Dispatchers, ShardBudget
from jobs.screening.known_verdicts import KnownVerdicts
from jobs.screening.looking_up import LookUps
from jobs.shards.held import MAX_SILENCE_S, HeldShards
from jobs.shards.work_queue import WorkQueue
from jobs.sql.errors import DATABASE_AWAY

logger = logging.getLogger(__name__)

_DATABASE_PAUSE_S = 1.0
#: how soon a cancelled job's shards are let go
_BEAT_S = 2.0
#: how often it is told that this dispatcher works
_SEEN_EVERY_S = 15.0
#: while known verdicts are looked up for a shard that could start
_LOOK_UP_POLL_S = 0.02
#: rounds in a row that may break off in a way nobody thought of; pauses between them grow
_MOST_SURPRISES = 8
_SURPRISE_PAUSE_S = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class DispatcherOptions:
    """How a dispatcher works."""

    #: shards in flight at once
    in_flight: int = 2
    #: of these, while a model is trained; in [0, 1], and one shard in any case
    share_while_training: float = 1.0
    #: how long a lease lives when nobody prolongs it
    lease_s: float = 60.0
    #: how long a shard keeps its lease without any progress
    max_silence_s: float = MAX_SILENCE_S
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
        presence: Dispatchers | None = None,
        model_is_trained: Callable[[], bool] = lambda: False,
    ) -> None:
        """`models`: jobs pinned to one that does not answer now wait for it, or for another dispatcher.

        `maintenance` tasks run in threads of their own: preparing, completion reports, webhooks; what they hold is in
        `held_work`. Without `known`, every image is scored, also those whose verdict an earlier job has. `presence`
        is told that this dispatcher works, and what its cluster lacks. `model_is_trained` is asked every two seconds.
        """
        self._store = store
        self._queue = queue
        self._runner = runner
        self._models = models
        self._options = options
        self._held_work = held_work
        self._maintenance = maintenance
        self._known = known
        self._presence = presence
        self._model_is_trained = model_is_trained
        self._budget: ShardBudget | None = None
        self._held = HeldShards(queue, lease_s=options.lease_s, max_silence_s=options.max_silence_s)
        self._look_ups = LookUps(known)
        self._recorder = OutcomeRecorder(store, queue, storage_max_wait_s=options.storage_max_wait_s)
        self._stop = threading.Event()
        self._unrecorded: list[Outcome] = []
        self._next_beat = 0.0
        self._next_seen = 0.0
        self._told: tuple[str | None, ShardBudget | None] = (None, None)
        self._surprises = 0
        self._outage = Outage()

    def stop(self) -> None:
        """Ask `run` to end after its current step; safe from any thread and from a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Work until `stop`, or until the only job is over; then give everything held back to the queue.

        Raises what ended many rounds in a row, none of which DATABASE_AWAY.
        """
        with (
            keeping([self._held, self._held_work], lease_s=self._options.lease_s),
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
        except Exception:
            self._surprises += 1
            if self._surprises >= _MOST_SURPRISES:
                raise
            logger.exception("a round of the dispatcher broke off, trying again")
            self._stop.wait(_SURPRISE_PAUSE_S * 2**self._surprises)
        else:
            self._surprises = 0
            self._outage.over()

    def tick(self) -> None:
        """One round: record, let go, rescue, claim, close; then wait for the next outcome."""
        self._record_outcomes()
        self._let_go(self._held.take_lost())
        if time.monotonic() >= self._next_beat:
            self._beat()
            self._next_beat = time.monotonic() + min(_BEAT_S, self._options.lease_s / 4)
        self._claim()
        self._close_jobs()
        self._wait()

    def _wait(self) -> None:
        poll_s = _LOOK_UP_POLL_S if self._look_ups.waiting else self._options.poll_s
        if not self._runner.running:
            self._stop.wait(poll_s)
        self._unrecorded += self._runner.wait(poll_s if self._runner.running else 0.0)
        waiting = [*self._look_ups.waiting, *(outcome.lease for outcome in self._unrecorded)]
        self._held.note(self._runner.silence(), [lease.shard_id for lease in waiting])

    def _beat(self) -> None:
        self._let_go(self._queue.unwanted(self._held.leases))
        rescued = self._queue.rescue()
        if rescued:
            logger.warning("took %d shards back from workers that vanished", rescued)
        self._keep_to_budget()
        self._tell_presence()

    def _let_go(self, leases: Sequence[Lease]) -> None:
        """Nobody wants them, or somebody else has them: drop their work."""
        if not leases:
            return
        self._runner.abandon(leases)
        self._held.drop(leases)
        for lease in leases:
            self._queue.release(lease)  # a job that is to stop waits for this

    def _keep_to_budget(self) -> None:
        """While a model is trained, fewer shards are claimed; those under way are finished."""
        usual, share = self._options.in_flight, self._options.share_while_training
        at_once = max(1, int(usual * share))
        trained = at_once < usual and self._model_is_trained()
        budget = ShardBudget(at_once=at_once, usual=usual) if trained else None
        if budget != self._budget:
            logger.info("%s", budget or "no run of retraining trains any more: all shards at once")
            self._budget = budget
            self._runner.allow(self._most)

    @property
    def _most(self) -> int:
        """Shards in flight at once, for now."""
        return self._options.in_flight if self._budget is None else self._budget.at_once

    def _tell_presence(self) -> None:
        lacks, now = self._runner.lacks, time.monotonic()
        if lacks is not None and self._told[0] is None:
            logger.warning("shards wait for workers: %s", lacks)
        told = (lacks, self._budget)
        if self._presence is not None and (now >= self._next_seen or told != self._told):
            self._presence.seen(self._queue.worker, *told)
            self._next_seen = now + _SEEN_EVERY_S
        self._told = told

    def _claim(self) -> None:
        """Claim no more than can start now; what waits beyond that is a reason to ask for more workers."""
        for lease in self._look_ups.take(self._held.is_held):
            self._start(lease)
        looking_up = len(self._look_ups.waiting)
        wanted = self._most - len(self._runner.running) - looking_up - len(self._unrecorded)
        models = [each for each in self._models.ready() if not self._recorder.is_resting(each)]
        if wanted <= 0 or not models or self._recorder.paused:
            return
        where: dict[str, Any] = {
            "fingerprints": models,
            "job_id": self._options.only_job,
            "resting": self._recorder.resting_jobs,
        }
        free = min(wanted, self._runner.free - looking_up)
        room = free if self._known is None else min(free, self._look_ups.room)
        if room > 0 and len(self._take(room, where)) < room:
            return  # no more waits
        if wanted > free and (waiting := self._queue.waiting(wanted - max(free, 0), **where)):
            self._runner.make_room(waiting)

    def _take(self, room: int, where: dict[str, Any]) -> list[Lease]:
        leases = self._queue.claim(room, self._options.lease_s, **where)
        self._held.hold(leases)
        for lease in leases:
            if self._known is None:
                self._start(lease)
            else:
                self._look_ups.put(lease)
        return leases

    def _start(self, lease: Lease) -> None:
        with about(lease.job_id):
            logger.info("shard %d of job %s, attempt %d, started", lease.shard_id, lease.job_id, lease.attempt)
        self._runner.start(lease)

    def _close_jobs(self) -> None:
        for job_id in self._store.completing():
            self._store.complete(job_id)
            self._recorder.forget(job_id)
        only = self._options.only_job
        if only is None or self._store.get(only).state not in FINAL:
            return
        # what is told of its end belongs to it, as far as it can be told now
        if not any(task.pending(only) for task in self._maintenance):
            self._stop.set()

    def _record_outcomes(self) -> None:
        while self._unrecorded:
            self._recorder.record(self._unrecorded[0])
            # only now: a database that is away must not swallow an outcome
            self._held.drop([self._unrecorded.pop(0).lease])

    def _give_back(self) -> None:
        """At the end: record what is finished, return the rest untouched, so that the next dispatcher need not wait."""
        self._unrecorded += self._runner.wait(0)
        self._runner.abandon(self._runner.running)
        self._look_ups.close()
        try:
            self._record_outcomes()
            for lease in self._held.leases:
                self._queue.release(lease)
            if self._presence is not None:
                self._presence.leave(self._queue.worker)
        except DATABASE_AWAY as error:
            held = len(self._held.leases)
            logger.warning("the database is away; %d leases will run out by themselves: %s", held, reason(error))
