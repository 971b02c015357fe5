"""The shards in the hands of this process, and what is known of how they go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from jobs.domain import Lease, ShardId
from jobs.shards.work_queue import WorkQueue

#: seconds without any progress after which a shard is let go; longer than a storage is waited for that says nothing
MAX_SILENCE_S = 300.0


@dataclass(slots=True)
class _Hold:
    lease: Lease
    #: when it was last known to go on, by this process's clock
    alive_at: float
    #: whether a worker has begun with it
    started: bool = False


class HeldShards:
    """Thread-safe: the dispatcher's thread says what it knows, the keeper's prolongs what goes on.

    A dispatcher that knows nothing any more, because its own thread hangs, loses its shards as any other does.
    """

    def __init__(
        self,
        queue: WorkQueue,
        *,
        lease_s: float,
        max_silence_s: float = MAX_SILENCE_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._lease_s = lease_s
        self._max_silence_s = max_silence_s
        self._now = now
        self._lock = threading.Lock()
        self._holds: dict[ShardId, _Hold] = {}
        self._lost: list[Lease] = []

    def hold(self, leases: Iterable[Lease]) -> None:
        """They were claimed just now."""
        with self._lock:
            for lease in leases:
                self._holds[lease.shard_id] = _Hold(lease, self._now())

    def drop(self, leases: Iterable[Lease]) -> None:
        """They are through, in whatever way."""
        with self._lock:
            for lease in leases:
                if (hold := self._holds.get(lease.shard_id)) is not None and hold.lease.fence == lease.fence:
                    del self._holds[lease.shard_id]

    def note(self, silent_s: Mapping[ShardId, float], waiting: Iterable[ShardId] = ()) -> None:
        """For how long each shard that a worker has begun with made no progress; `waiting` ones come to no harm."""
        now = self._now()
        with self._lock:
            for shard_id, silent in silent_s.items():
                if (hold := self._holds.get(shard_id)) is not None:
                    hold.started, hold.alive_at = True, now - silent
            for shard_id in waiting:
                if (hold := self._holds.get(shard_id)) is not None:
                    hold.alive_at = now

    @property
    def leases(self) -> list[Lease]:
        """All of them."""
        with self._lock:
            return [hold.lease for hold in self._holds.values()]

    def is_held(self, lease: Lease) -> bool:
        """Whether it is not lost, as far as is known."""
        with self._lock:
            hold = self._holds.get(lease.shard_id)
            return hold is not None and hold.lease.fence == lease.fence

    def take_lost(self) -> Sequence[Lease]:
        """Leases that were lost since the last call: their work is to be dropped."""
        with self._lock:
            lost, self._lost = self._lost, []
        return lost

    def extend(self) -> None:
        """Prolong whatever goes on, in one statement. Raises one of DATABASE_AWAY."""
        oldest = self._now() - self._max_silence_s
        with self._lock:
            alive = [hold for hold in self._holds.values() if hold.alive_at >= oldest]
        started = {hold.lease.shard_id for hold in alive if hold.started}
        lost = self._queue.heartbeat([hold.lease for hold in alive], self._lease_s, started)
        with self._lock:
            self._lost += lost
        self.drop(lost)
