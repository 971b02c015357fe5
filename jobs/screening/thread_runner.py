"""Runs shards in threads of this process: for tests, and to see the job layer work without Ray."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from jobs.domain import Lease
from jobs.ports import Outcome
from jobs.screening.attempt import Screen, attempt


class ThreadRunner:
    """A `ShardRunner` without a cluster."""

    def __init__(self, screen: Screen, threads: int = 2) -> None:
        self._screen = screen
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="shard")
        self._running: dict[Future[Outcome], Lease] = {}

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
