"""One screening process on the Ray cluster, and how the dispatcher sees it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import ray

from jobs.domain import Lease, ShardId
from jobs.ports import Outcome, Screener
from jobs.screening.attempt import attempt

#: builds clients, handles and threads where it is called; pickled to the workers
BuildScreener = Callable[[], Screener]


class ScreeningWorker:
    """A process that screens several shards at once; they share its threads and its batches."""

    def __init__(self, build: BuildScreener) -> None:
        self._screener = build()

    def ready(self) -> tuple[str, int]:
        """Node and process id; returns once the process is up."""
        return ray.get_runtime_context().get_node_id(), os.getpid()

    def screen(self, lease: Lease) -> Outcome:
        return attempt(self._screener.screen, lease)

    def abandon(self, lease: Lease) -> None:
        self._screener.abandon(lease)

    def silence(self) -> Mapping[ShardId, float]:
        """For each shard here, seconds since it made progress; an answer is a sign of life by itself."""
        return self._screener.silence()


@dataclass(eq=False, slots=True)
class Worker:
    """The dispatcher's side of a `ScreeningWorker`."""

    actor: Any
    #: ready when the process is up; None from then on
    starting: Any
    #: shards it can have at once
    most: int
    #: CPUs it reserves
    cpus: float
    #: when it was asked for, by the clock of this process
    since: float
    #: the one shard for which it was made, until it is up
    alone_with: Lease | None = None
    #: for one shard alone, whatever comes
    alone: bool = False
    #: gets no more shards, and ends without one
    leaving: bool = False
    shards: dict[Any, Lease] = field(default_factory=dict)
    #: an answer that is waited for, and when the last one came
    asked: Any = None
    answered_at: float = 0.0
    #: as it was at that time
    silence: Mapping[ShardId, float] = field(default_factory=dict)
    #: since when it has no shard
    idle_since: float = 0.0
    process: tuple[str, int] | None = None

    @property
    def is_up(self) -> bool:
        return self.starting is None

    @property
    def room(self) -> int:
        """Shards that it could begin with now."""
        return self.most - len(self.shards) if self.is_up and not self.alone and not self.leaving else 0

    def waits_for(self, ref: Any) -> bool:
        """Whether this is an answer of its own."""
        return ref in (self.starting, self.asked) or ref in self.shards

    def silent_s(self, lease: Lease, now: float) -> float:
        """Seconds since this shard was last known to go on."""
        return now - self.answered_at + self.silence.get(lease.shard_id, 0.0)

    def start(self, lease: Lease, now: float) -> None:
        if not self.shards:
            self.answered_at, self.silence = now, {}  # it was not asked while it had nothing to do
        self.shards[self.actor.screen.remote(lease)] = lease

    def kill(self) -> None:
        """End the process, also one that is stopped and would not hear of it."""
        ray.kill(self.actor)
        if self.process is not None and self.process[0] == ray.get_runtime_context().get_node_id():
            with suppress(OSError):
                os.kill(self.process[1], signal.SIGKILL)
