"""Runs shards on the Ray cluster: in long-lived workers, or apart from all others when a shard is under suspicion."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError

from jobs.domain import Lease
from jobs.ports import Outcome, OutcomeKind, Screener
from jobs.screening.attempt import attempt

#: CPUs that a worker leaves for each of its shards, and that a suspect reserves: else it would wait for ever on a
#: cluster that workers fill; with none at all it could come to lie on a head that is to do no work
_CRUMB = 0.001
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
#: builds clients, handles and threads where it is called; pickled to the workers
BuildScreener = Callable[[], Screener]


class ScreeningWorker:
    """A process that screens several shards at once; they share its threads and its batches."""

    def __init__(self, build: BuildScreener) -> None:
        self._screener = build()

    def ready(self) -> None:
        """Returns once the process is up."""

    def screen(self, lease: Lease) -> Outcome:
        return attempt(self._screener.screen, lease)

    def abandon(self, lease: Lease) -> None:
        self._screener.abandon(lease)


def screen_shard(build: BuildScreener, lease: Lease) -> Outcome:
    """Screen one shard in a process that has no other at the time."""
    with closing(build()) as screener:
        return attempt(screener.screen, lease)


@dataclass(eq=False, slots=True)
class _Worker:
    actor: Any
    #: ready when the process is up; None from then on
    starting: Any
    #: shards it can have at once
    most: int
    shards: int = 0

    @property
    def has_room(self) -> bool:
        return self.starting is None and self.shards < self.most


class RayRunner:
    """A `ShardRunner` on the Ray cluster this process is connected to.

    First attempts share workers. A worker that dies takes all its shards along, and one of them may be what killed it;
    so every later attempt runs alone in a process of its own, where it can do no other any harm.
    Retries are the queue's business, which knows about attempts and fences: Ray's own are off.
    """

    def __init__(
        self, build: BuildScreener, *, shards: int = 2, shards_per_worker: int = 2, cpus_per_shard: float = 1.0
    ) -> None:
        """Workers for `shards` shards at once, started as shards come, with up to `shards_per_worker` in each.

        A worker lies on one node; where no node has CPUs for so many shards, workers are made for fewer.
        """
        self._most_shards = shards
        self._shards_per_worker = shards_per_worker
        self._cpus_per_shard = max(_CRUMB, cpus_per_shard - _CRUMB)
        self._build = ray.put(build)
        self._task = ray.remote(screen_shard).options(num_cpus=_CRUMB, max_retries=0, scheduling_strategy="SPREAD")
        self._worker_class = ray.remote(ScreeningWorker)
        self._workers: list[_Worker] = []
        self._backlog: deque[Lease] = deque()
        self._running: dict[Any, tuple[Lease, _Worker | None]] = {}
        self._outcomes: list[Outcome] = []

    def start(self, lease: Lease) -> None:
        if lease.attempt > 1:
            self._running[self._task.remote(self._build, lease)] = lease, None
        else:
            self._backlog.append(lease)
            self._assign()

    def wait(self, timeout_s: float) -> list[Outcome]:
        self._assign()
        refs = [*self._running, *(worker.starting for worker in self._workers if worker.starting is not None)]
        if refs and not self._outcomes:
            ready, _ = ray.wait(refs, num_returns=1, timeout=timeout_s)
            if ready:
                ready, _ = ray.wait(refs, num_returns=len(refs), timeout=0)  # and all that are done beside it
            for ref in ready:
                self._note(ref)
            self._assign()
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    @property
    def running(self) -> list[Lease]:
        return [*self._backlog, *(lease for lease, _ in self._running.values())]

    def abandon(self, leases: Sequence[Lease]) -> None:
        self._backlog = deque(lease for lease in self._backlog if lease not in leases)
        for ref, (lease, worker) in list(self._running.items()):
            if lease not in leases:
                continue
            del self._running[ref]
            if worker is None:
                ray.cancel(ref, force=True)
            else:
                worker.shards -= 1
                worker.actor.abandon.remote(lease)

    def _assign(self) -> None:
        """Hand waiting shards to workers that are up and have room; start workers while there are too few."""
        while self._backlog:
            free = [worker for worker in self._workers if worker.has_room]
            if not free:
                break
            worker, lease = min(free, key=lambda worker: worker.shards), self._backlog.popleft()
            self._running[worker.actor.screen.remote(lease)] = lease, worker
            worker.shards += 1
        shards = len(self._backlog) + sum(worker.shards for worker in self._workers)
        while sum(worker.most for worker in self._workers) < min(self._most_shards, shards):
            self._workers.append(self._new_worker())

    def _new_worker(self) -> _Worker:
        cpus = max((node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]), default=0)
        # on nodes that have no CPU, or not enough for one shard, larger ones must be about to come
        most = min(self._shards_per_worker, int(cpus / self._cpus_per_shard)) or self._shards_per_worker
        actor = self._worker_class.options(
            num_cpus=most * self._cpus_per_shard,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy="SPREAD",
            # beside the shards: `ready`, `abandon`, and a shard that was just abandoned
            max_concurrency=2 * most + 1,
        ).remote(self._build)
        return _Worker(actor, actor.ready.remote(), most)

    def _note(self, ref: Any) -> None:
        if ref in self._running:
            self._outcomes.append(self._outcome(ref))
            return
        worker = next(worker for worker in self._workers if worker.starting == ref)
        try:
            ray.get(ref, timeout=30)
            worker.starting = None
        except RayError as error:
            # it is charged to a shard, so that workers which never come up are not started for ever
            self._drop(worker)
            if self._backlog:
                lease = self._backlog.popleft()
                self._outcomes.append(Outcome(lease=lease, kind=OutcomeKind.CRASHED, reason=_in_a_line(error)))

    def _outcome(self, ref: Any) -> Outcome:
        lease, worker = self._running.pop(ref)
        if worker is not None:
            worker.shards -= 1
        try:
            outcome: Outcome = ray.get(ref, timeout=30)
        except GetTimeoutError:
            return Outcome(lease=lease, kind=OutcomeKind.BROKEN, reason="its result could not be fetched")
        except RayError as error:
            # worker killed, out of memory, node gone: nobody was left to tell
            self._drop(worker)
            return Outcome(lease=lease, kind=OutcomeKind.CRASHED, reason=_in_a_line(error))
        return outcome

    def _drop(self, worker: _Worker | None) -> None:
        if worker in self._workers:
            self._workers.remove(worker)
            ray.kill(worker.actor)


def _in_a_line(error: BaseException) -> str:
    """What happened, without the traceback: that of a remote error ends with the error, others begin with theirs."""
    lines = [line for line in _COLOURS.sub("", str(error)).splitlines() if line.strip()] or ["no reason given"]
    return lines[-1] if any(line.startswith("  File ") for line in lines) else f"{type(error).__name__}: {lines[0]}"
