"""One shard on its way: the verdicts so far, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from jobs.domain import Lease, ShardId, Verdict
from jobs.errors import ErrorCode, JobsError, StorageUnavailable
from jobs.screening.reuse import Recall
from jobs.shards.work_queue import MAX_ATTEMPTS

#: a shard is tried again as a whole when at least this share of its images failed for a passing reason
_STORE_AWAY_SHARE = 0.5


class ShardAbandoned(JobsError):
    """Nobody wants the shard any more: its lease is lost, or its job was cancelled."""

    def __init__(self, shard_id: ShardId) -> None:
        self.shard_id = shard_id
        super().__init__(f"shard {shard_id} was abandoned")


class ShardRun:
    """Collects the verdicts of one shard from any thread, until all are there or something ends it."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.recall = Recall(lease.known)
        self._verdicts: list[Verdict] = []
        self._error: Exception | None = None
        self._changed = threading.Condition()

    @property
    def over(self) -> bool:
        """Whether something went wrong: no more verdicts are of use."""
        return self._error is not None

    def add(self, verdict: Verdict) -> None:
        """One more image has its verdict."""
        with self._changed:
            self._verdicts.append(verdict)
            self._changed.notify_all()

    def fail(self, error: Exception) -> None:
        """End the shard; the first error counts."""
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    def result(self) -> list[Verdict]:
        """Wait for every verdict; gives them in order.

        Raises whatever `fail` was told, and StorageUnavailable when the store is away (not at the last attempt).
        """
        with self._changed:
            self._changed.wait_for(lambda: self.over or len(self._verdicts) == len(self.lease.entries))
            if self._error is not None:
                raise self._error
        if self.lease.attempt < MAX_ATTEMPTS:
            _refuse_when_store_is_away(self._verdicts)
        return sorted(self._verdicts, key=lambda verdict: verdict.ordinal)


def _refuse_when_store_is_away(verdicts: Sequence[Verdict]) -> None:
    away = [verdict for verdict in verdicts if verdict.error_code is ErrorCode.TIMEOUT]
    if away and len(away) >= _STORE_AWAY_SHARE * len(verdicts):
        raise StorageUnavailable(
            away[0].container,
            f"{len(away)} of {len(verdicts)} images could not be read: {away[0].error_message}",
        )
