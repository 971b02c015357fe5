"""What becomes of an attempt at a shard: recorded, tried again, waited for, or the end of its job."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from sqlalchemy.exc import SQLAlchemyError

from jobs.domain import Fingerprint, JobId, Lease
from jobs.errors import ErrorCode, LeaseLost
from jobs.lifecycle.job_store import JobStore
from jobs.log_context import about
from jobs.outage import BackOff, StorageOutage
from jobs.ports import Outcome, OutcomeKind
from jobs.shards.work_queue import WorkQueue
from jobs.spans import Attribute, Timed, tell
from jobs.sql.errors import DATABASE_AWAY, Fault, fault_of

logger = logging.getLogger(__name__)

_LONGEST_PAUSE_S = 30.0


def span_of(outcome: Outcome) -> Timed:
    """The attempt as a span; one that nobody could time has no length."""
    lease, now = outcome.lease, time.time()
    timed = outcome.timed or Timed(name="shard", began=now, ended=now)
    said: dict[str, Attribute] = {
        "job": lease.job_id,
        "shard": lease.shard_id,
        "attempt": lease.attempt,
        "images": len(lease.entries),
        "outcome": outcome.kind.value,
    }
    if outcome.kind is OutcomeKind.FINISHED:
        failed = sum(verdict.error_code is not None for verdict in outcome.verdicts)
        reused = sum(verdict.reused for verdict in outcome.verdicts)
        said |= {"scored": len(outcome.verdicts) - failed - reused, "reused": reused, "failed": failed}
        said["flagged"] = sum(verdict.flagged for verdict in outcome.verdicts)
    return replace(timed, attributes={**timed.attributes, **said})


class OutcomeRecorder:
    """Writes outcomes into SQL, and knows what is waited for meanwhile. For one thread."""

    def __init__(self, store: JobStore, queue: WorkQueue, *, storage_max_wait_s: float) -> None:
        self._store = store
        self._queue = queue
        self._storage_max_wait_s = storage_max_wait_s
        self._pause_s = 0.0
        self._resume_at = 0.0
        self._model_outages: dict[Fingerprint, BackOff] = {}
        self._storage_outages: dict[JobId, StorageOutage] = {}

    @property
    def paused(self) -> bool:
        """Whether nothing is to be claimed for now."""
        return time.monotonic() < self._resume_at

    @property
    def resting_jobs(self) -> list[JobId]:
        """Jobs whose storage is away."""
        return [job_id for job_id, outage in self._storage_outages.items() if outage.resting]

    def is_resting(self, fingerprint: Fingerprint) -> bool:
        """Whether this model was asked in vain a moment ago."""
        outage = self._model_outages.get(fingerprint)
        return outage is not None and outage.resting

    def forget(self, job_id: JobId) -> None:
        """The job is over."""
        self._storage_outages.pop(job_id, None)

    def record(self, outcome: Outcome) -> None:
        """Write it down first, and tell it then: while the database is away this comes again every second.

        Raises one of DATABASE_AWAY.
        """
        with about(outcome.lease.job_id):
            self._record(outcome)
        if (parent := outcome.lease.traceparent) is not None:
            tell(span_of(outcome), parent)

    def _record(self, outcome: Outcome) -> None:
        lease = outcome.lease
        if outcome.kind is OutcomeKind.FINISHED:
            self._finish(outcome)
        elif outcome.kind is OutcomeKind.GIVEN_BACK:
            self._queue.release(lease, outcome.reason or None)
            logger.info("shard %d is given back: %s", lease.shard_id, outcome.reason)
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
        elif outcome.kind is OutcomeKind.CRASHED:
            self._queue.vanished(lease, outcome.reason)
            logger.warning("shard %d lost its worker: %s", lease.shard_id, outcome.reason)
        else:
            self._queue.fail_attempt(lease, outcome.reason)
            logger.warning("shard %d, attempt %d: %s", lease.shard_id, lease.attempt, outcome.reason)

    def _finish(self, outcome: Outcome) -> None:
        lease = outcome.lease
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
            why = f"a result cannot be recorded: {type(error).__name__}: {error}"
            if isinstance(error, SQLAlchemyError) and fault_of(error) is Fault.BUG:
                self._queue.fail_attempt(lease, why)  # not of the images: a few times, then they are told apart
            else:
                # the next attempt would give the same: better a failed job than one that goes round for ever
                self._give_up(lease, why)
            logger.exception("the result of shard %d cannot be recorded", lease.shard_id)

    def _may_wait(self, outcome: Outcome) -> bool:
        """Whether the job rests until its storage is back, and the attempt does not count."""
        job_id = outcome.lease.job_id
        outage = self._storage_outages.setdefault(job_id, StorageOutage(job_id, self._storage_max_wait_s))
        return outage.record_failure(outcome.reason) is not None

    def _note_answer(self, outcome: Outcome) -> None:
        outage = self._storage_outages.get(outcome.lease.job_id)
        if outage is not None and any(verdict.error_code is not ErrorCode.TIMEOUT for verdict in outcome.verdicts):
            outage.answered()

    def _give_up(self, lease: Lease, why: str) -> None:
        self._store.fail(lease.job_id, why)
        self._queue.release(lease)
