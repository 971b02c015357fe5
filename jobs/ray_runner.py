"""Runs shards as Ray tasks, on any node with a free CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError

from jobs.attempt import Screen, attempt
from jobs.domain import Lease
from jobs.ports import Outcome, OutcomeKind


class RayRunner:
    """A `ShardRunner` on the Ray cluster this process is connected to.

    Retries are the queue's business, which knows about attempts and fences: Ray's own are off.
    """

    def __init__(self, screen: Screen, *, cpus_per_shard: float = 1.0) -> None:
        """`screen` is pickled to the workers; it must build clients and handles there, on first use."""
        task = ray.remote(attempt).options(
            num_cpus=cpus_per_shard, max_retries=0, scheduling_strategy="SPREAD", name="screen_shard"
        )
        self._task = task
        self._screen = ray.put(screen)
        self._running: dict[Any, Lease] = {}

    def start(self, lease: Lease) -> None:
        self._running[self._task.remote(self._screen, lease)] = lease

    def wait(self, timeout_s: float) -> list[Outcome]:
        refs = list(self._running)
        if not refs:
            return []
        ready, _ = ray.wait(refs, num_returns=1, timeout=timeout_s)
        if ready:
            ready, _ = ray.wait(refs, num_returns=len(refs), timeout=0)  # and all that are done beside it
        return [self._outcome(ref) for ref in ready]

    def _outcome(self, ref: Any) -> Outcome:
        lease = self._running.pop(ref)
        try:
            outcome: Outcome = ray.get(ref, timeout=30)
        except GetTimeoutError:
            return Outcome(lease=lease, kind=OutcomeKind.BROKEN, reason="its result could not be fetched")
        except RayError as error:
            # worker killed, out of memory, node gone: nobody was left to tell
            return Outcome(lease=lease, kind=OutcomeKind.CRASHED, reason=_first_line(error))
        return outcome

    @property
    def running(self) -> list[Lease]:
        return list(self._running.values())

    def abandon(self, leases: Sequence[Lease]) -> None:
        for ref, lease in list(self._running.items()):
            if lease in leases:
                del self._running[ref]
                ray.cancel(ref, force=True)


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).strip() or 'no reason given').splitlines()[0]}"
