"""Runs shards on the Ray cluster: in long-lived workers, or apart from all others when a shard is under suspicion."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError

from jobs.domain import Lease, ShardId
from jobs.outage import BackOff
from jobs.ports import Outcome, OutcomeKind
from jobs.screening.ray_worker import BuildScreener, ScreeningWorker, Worker

logger = logging.getLogger(__name__)

#: CPUs that a worker leaves for each of its shards, and that a suspect reserves: else it would wait for ever on a
#: cluster that workers fill; with none at all it could come to lie on a head that is to do no work
_CRUMB = 0.001
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
#: workers are asked for a sign of life so often
_ASK_EVERY_S = 5.0
#: a worker that found no place for so long is missed: people are told, and a shard that waits for it is given back
PLACED_WITHIN_S = 15.0
#: a worker without a shard is ended after so long, so that a cluster can shrink
IDLE_S = 60.0
_LONGEST_PAUSE_S = 30.0


class RayRunner:
    """A `ShardRunner` on the Ray cluster this process is connected to.

    Tried for the first time, shards share workers. A worker that dies takes all its shards along, and one of them may
    be what killed it; so every later try runs alone in a process of its own, where it can do no other any harm.
    Retries are the queue's business, which knows about attempts and fences: Ray's own are off.

    Workers are made when shards wait, and no shard is claimed before there is room for it. What Ray has no place for
    stays asked for, so that a cluster which can grow does; nothing is held meanwhile.
    """

    def __init__(
        self,
        build: BuildScreener,
        *,
        shards: int = 2,
        shards_per_worker: int = 2,
        cpus_per_shard: float = 1.0,
        max_silence_s: float = 300.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Workers for `shards` shards at once, started as shards come, with up to `shards_per_worker` in each.

        A worker lies on one node; where no node has CPUs for so many shards, workers are made for fewer. What makes no
        progress for `max_silence_s` seconds is ended.
        """
        self._most_shards = shards
        self._shards_per_worker = shards_per_worker
        self._cpus_per_shard = max(_CRUMB, cpus_per_shard - _CRUMB)
        self._max_silence_s = max_silence_s
        self._now = now
        self._build = ray.put(build)
        self._worker_class = ray.remote(ScreeningWorker)
        self._workers: list[Worker] = []
        self._outcomes: list[Outcome] = []
        self._wanted_at = now()
        self._failures = BackOff(_LONGEST_PAUSE_S)
        self._failed: str | None = None

    # -- room

    @property
    def free(self) -> int:
        return sum(worker.room for worker in self._workers)

    def make_room(self, shards: int) -> None:
        """Start workers, as many as are missing for so many more shards, and within the limit of this runner."""
        self._wanted_at = self._now()
        if self._failures.resting:
            return
        shared = [worker for worker in self._workers if not worker.alone and not worker.leaving]
        coming = sum(worker.most for worker in shared if not worker.is_up)
        missing = min(shards - coming, self._most_shards - sum(worker.most for worker in shared))
        while missing > 0:
            worker = self._shared_worker()
            self._workers.append(worker)
            missing -= worker.most

    def allow(self, shards: int) -> None:
        """Its workers with the most to do stay, the first of them in any case; whole CPUs come back, for others."""
        self._most_shards = shards
        kept = 0
        shared = [worker for worker in self._workers if not worker.alone]
        for worker in sorted(shared, key=lambda worker: (worker.is_up, len(worker.shards)), reverse=True):
            worker.leaving = kept >= shards
            kept += 0 if worker.leaving else worker.most

    @property
    def lacks(self) -> str | None:
        if self._failed is not None:
            return f"workers do not come up: {self._failed}"
        late = self._now() - PLACED_WITHIN_S
        missed = [worker for worker in self._workers if not worker.is_up and worker.since < late]
        if not missed:
            return None
        free, total = ray.available_resources().get("CPU", 0.0), ray.cluster_resources().get("CPU", 0.0)
        cpus = missed[0].cpus
        if free >= cpus and any(node["Resources"].get("CPU", 0.0) >= cpus for node in ray.nodes() if node["Alive"]):
            return None  # it has its place, and takes long to come up
        return (
            f"{len(missed)} more workers with {cpus:.3g} CPUs each find no place on the cluster, which has {total:g} "
            f"CPUs, {free:.3g} of them free; add nodes, or lower NCLSCREEN_SHARDS_IN_FLIGHT or NCLSCREEN_SHARD_CPUS"
        )

    # -- shards

    def start(self, lease: Lease) -> None:
        if lease.suspect:
            worker = self._new_worker(most=1, cpus=_CRUMB)
            worker.alone, worker.alone_with = True, lease
            self._workers.append(worker)
            return
        roomy = [worker for worker in self._workers if worker.room > 0]
        if roomy:
            min(roomy, key=lambda worker: len(worker.shards)).start(lease, self._now())
        else:
            # its worker ended between the claim and now
            self._give_back(lease, "its worker ended before it began")

    def wait(self, timeout_s: float) -> list[Outcome]:
        self._ask()
        refs = list(self._refs())
        if refs and not self._outcomes:
            ready, _ = ray.wait(refs, num_returns=1, timeout=timeout_s)
            if ready:
                ready, _ = ray.wait(refs, num_returns=len(refs), timeout=0)  # and all that are done beside it
            for ref in ready:
                self._note(ref)
        self._end_what_hangs()
        self._end_idle()
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    @property
    def running(self) -> list[Lease]:
        begun = [lease for worker in self._workers for lease in worker.shards.values()]
        return begun + [worker.alone_with for worker in self._workers if worker.alone_with is not None]

    def silence(self) -> Mapping[ShardId, float]:
        """As workers told it; what no worker has begun with is not here."""
        now = self._now()
        return {
            lease.shard_id: worker.silent_s(lease, now) for worker in self._workers for lease in worker.shards.values()
        }

    def abandon(self, leases: Sequence[Lease]) -> None:
        for worker in list(self._workers):
            if worker.alone_with in leases or (worker.alone and any(each in leases for each in worker.shards.values())):
                self._drop(worker)
                continue
            for ref, lease in list(worker.shards.items()):
                if lease in leases:
                    del worker.shards[ref]
                    worker.actor.abandon.remote(lease)
                    worker.idle_since = self._now()

    def close(self) -> None:
        """End all workers; what they have is lost."""
        for worker in list(self._workers):
            self._drop(worker)

    # -- workers

    def _shared_worker(self) -> Worker:
        cpus = max((node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]), default=0)
        # on nodes that have no CPU, or not enough for one shard, larger ones must be about to come
        most = min(self._shards_per_worker, int(cpus / self._cpus_per_shard)) or self._shards_per_worker
        return self._new_worker(most=most, cpus=most * self._cpus_per_shard)

    def _new_worker(self, *, most: int, cpus: float) -> Worker:
        actor = self._worker_class.options(
            num_cpus=cpus,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy="SPREAD",
            # beside the shards: `ready`, `abandon`, `silence`, and shards that were just abandoned
            max_concurrency=2 * most + 2,
        ).remote(self._build)
        return Worker(actor, actor.ready.remote(), most, cpus, self._now())

    def _refs(self) -> Iterator[Any]:
        for worker in self._workers:
            yield from worker.shards
            yield from (ref for ref in (worker.starting, worker.asked) if ref is not None)

    def _note(self, ref: Any) -> None:
        worker = next(
            (each for each in self._workers if ref in (each.starting, each.asked) or ref in each.shards), None
        )
        if worker is None:
            return  # it was dropped a moment ago, for another of its refs
        if ref in worker.shards:
            self._note_end(worker, ref)
        elif ref == worker.starting:
            self._note_start(worker, ref)
        else:
            worker.asked = None
            with suppress(RayError, GetTimeoutError):  # its shards tell that it is gone
                worker.silence, worker.answered_at = ray.get(ref, timeout=30), self._now()

    def _note_start(self, worker: Worker, ref: Any) -> None:
        try:
            worker.process, worker.starting = ray.get(ref, timeout=30), None
        except (RayError, GetTimeoutError) as error:
            # no shard has begun, so none is charged; pauses between such starts grow
            self._failed = _in_a_line(error)
            self._failures.record_failure()
            lease = worker.alone_with
            self._drop(worker)
            if lease is not None:
                self._give_back(lease, f"its worker did not come up: {self._failed}")
            return
        self._failed, self._failures = None, BackOff(_LONGEST_PAUSE_S)
        worker.idle_since = self._now()
        if worker.alone_with is not None:
            lease, worker.alone_with = worker.alone_with, None
            worker.start(lease, self._now())

    def _note_end(self, worker: Worker, ref: Any) -> None:
        lease = worker.shards.pop(ref)
        worker.idle_since = self._now()
        try:
            self._outcomes.append(ray.get(ref, timeout=30))
        except GetTimeoutError:
            reason = "its result could not be fetched"
            self._outcomes.append(Outcome(lease=lease, kind=OutcomeKind.BROKEN, reason=reason))
        except RayError as error:
            # worker killed, out of memory, node gone: nobody was left to tell
            self._outcomes.append(Outcome(lease=lease, kind=OutcomeKind.CRASHED, reason=_in_a_line(error)))
            self._lose(worker, _in_a_line(error))
            return
        if worker.alone:
            self._drop(worker)

    # -- life and silence

    def _ask(self) -> None:
        """Ask workers with shards for a sign of life, now and then."""
        now = self._now()
        for worker in self._workers:
            if worker.shards and worker.asked is None and now - worker.answered_at >= _ASK_EVERY_S:
                worker.asked = worker.actor.silence.remote()

    def _end_what_hangs(self) -> None:
        now = self._now()
        for worker in list(self._workers):
            if worker.alone_with is not None and now - worker.since > PLACED_WITHIN_S:
                lease = worker.alone_with
                self._drop(worker)
                self._give_back(lease, "no place was found for a worker of its own")
            elif worker.shards and now - worker.answered_at > self._max_silence_s:
                self._lose(worker, f"its worker gave no sign of life for {now - worker.answered_at:.0f} s")
            else:
                self._end_silent_shards(worker, now)

    def _end_silent_shards(self, worker: Worker, now: float) -> None:
        """The worker lives, and some shard in it does not go on: its own fault, and that of no other."""
        told = worker.silence
        hung = [lease for lease in worker.shards.values() if told.get(lease.shard_id, 0.0) > self._max_silence_s]
        if not hung:
            return
        for lease in worker.shards.values():
            if lease in hung:
                reason = f"no progress for {worker.silent_s(lease, now):.0f} s"
                self._outcomes.append(Outcome(lease=lease, kind=OutcomeKind.BROKEN, reason=reason))
            else:
                self._give_back(lease, "its worker was ended for another shard that hung")
        self._drop(worker)

    def _end_idle(self) -> None:
        """Let workers go that nothing waits for, those that never found a place too."""
        now = self._now()
        for worker in list(self._workers):
            idle_s = now - (worker.idle_since if worker.is_up else self._wanted_at)
            if (worker.leaving or idle_s > IDLE_S) and not worker.shards and worker.alone_with is None:
                if worker.is_up:
                    # without a handle it ends by itself; Ray would tell the terminal of each that is killed
                    self._workers.remove(worker)
                else:
                    self._drop(worker)

    def _lose(self, worker: Worker, reason: str) -> None:
        """The process is gone, or as good as gone, with all that was in it."""
        for lease in worker.shards.values():
            self._outcomes.append(Outcome(lease=lease, kind=OutcomeKind.CRASHED, reason=reason))
        self._drop(worker)

    def _drop(self, worker: Worker) -> None:
        if worker in self._workers:
            self._workers.remove(worker)
            worker.kill()

    def _give_back(self, lease: Lease, reason: str) -> None:
        self._outcomes.append(Outcome(lease=lease, kind=OutcomeKind.GIVEN_BACK, reason=reason))


def _in_a_line(error: BaseException) -> str:
    """What happened, without the traceback: that of a remote error ends with the error, others begin with theirs."""
    lines = [line for line in _COLOURS.sub("", str(error)).splitlines() if line.strip()] or ["no reason given"]
    return lines[-1] if any(line.startswith("  File ") for line in lines) else f"{type(error).__name__}: {lines[0]}"
