"""Runs shards in threads of this process: for tests, and to see the job layer work without Ray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from jobs.domain import Lease, ShardId
from jobs.ports import Outcome
from jobs.screening.attempt import Screen, attempt


class ThreadRunner:
    """A `ShardRunner` without a cluster."""

    def __init__(self, screen: Screen, threads: int = 2) -> None:
        self._screen = screen
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="shard")
        self._threads = threads
        self._running: dict[Future[Outcome], Lease] = {}

    @property
    def free(self) -> int:
        return self._threads - len(self._running)

    def make_room(self, shards: int) -> None:
        """There are as many threads as there will be."""

    def allow(self, shards: int) -> None:
        """There are as many threads as there will be."""

    @property
    def lacks(self) -> str | None:
        return None

    def silence(self) -> Mapping[ShardId, float]:
        """A thread of this process shows that it lives by living."""
        return {lease.shard_id: 0.0 for lease in self._running.values()}

    def start(self, lease: Lease) -> None:
        self._running[self._pool.submit(attempt, self._screen, lease)] = lease

    def wait(self, timeout_s: float) -> list[Outcome]:
        done, _ = wait(self._running, timeout=timeout_s, return_when=FIRST_COMPLETED)
        for future in done:
            del self._running[future]
        return [future.result() for future in done]

    @property
    def running(self) -> list[Lease]:
        return list(self._running.values())

    def abandon(self, leases: Sequence[Lease]) -> None:
        for future, lease in list(self._running.items()):
            if lease in leases:
                future.cancel()
                del self._running[future]
