"""A dispatcher in a process of its own whose model is a constant: what is left is queue, fence and accounts.

Run: python constant_dispatcher.py '{"database_url": ..., ...}' with the fields of `Order`. It says "ready" on a line,
waits for a line on standard input, works until its job is over, and ends with one line of JSON: a `Tally`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from jobs.dispatcher import Dispatcher, DispatcherOptions
from jobs.domain import JobId, Lease, Verdict
from jobs.domain.states import JobState
from jobs.errors import LeaseLost
from jobs.leased_work.held import HeldWork
from jobs.leased_work.task import WorkTask
from jobs.lifecycle.job_store import JobStore
from jobs.preparation.preparer import Preparer
from jobs.screening.thread_runner import ThreadRunner
from jobs.shards.work_queue import WorkQueue
from jobs.sql.database import create_database_engine
from jobs.storage import S3Options, open_storage
from jobs.testing import FixedModels
from ncl_model.inference.scoring import AREA_CUTOFFS


@dataclass(frozen=True, kw_only=True)
class Order:
    """What one dispatcher is to do."""

    database_url: str
    job_id: str
    fingerprint: str
    worker: str = "worker"
    in_flight: int = 2
    lease_s: float = 60.0
    #: how long a shard takes
    shard_s: float = 0.0
    #: before it records its result number so-and-so (from 1) it stops itself (SIGSTOP); 0: never
    stop_before_result: int = 0


@dataclass(kw_only=True)
class Tally:
    """What came of it. Shards by their ids."""

    screened: list[int] = field(default_factory=list)
    recorded: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    seconds: float = 0.0


def constant_verdicts(lease: Lease) -> list[Verdict]:
    """A verdict for each image as a model would give it, without looking at one. Every tenth is flagged."""
    areas = tuple(float(cutoff < 0.5) for cutoff in AREA_CUTOFFS)
    return [
        Verdict(
            ordinal=ordinal,
            container=image.container,
            key=image.key,
            score=0.9 if ordinal % 10 == 0 else 0.1,
            flagged=ordinal % 10 == 0,
            tampered_areas=areas,
            map_uri=f"s3://maps/{lease.job_id}/{ordinal:09d}.png" if ordinal % 10 == 0 else None,
            width=4000,
            height=3000,
            sha256=f"{ordinal:064x}",
            etag=image.etag,
            version_id=image.version_id,
            size=image.size,
            fingerprint=lease.model.fingerprint,
        )
        for ordinal, image in enumerate(lease.entries, lease.first_ordinal)
    ]


class CountingQueue(WorkQueue):
    """A queue that writes down which results were taken and which were refused, and stops its process on order."""

    tally: Tally
    stop_before_result = 0

    def finish(self, lease: Lease, results: Sequence[Verdict]) -> JobState:
        if self.stop_before_result == len(self.tally.recorded) + len(self.tally.dropped) + 1:
            self.stop_before_result = 0
            os.kill(os.getpid(), signal.SIGSTOP)
        try:
            state = super().finish(lease, results)
        except LeaseLost:
            self.tally.dropped.append(lease.shard_id)
            raise
        self.tally.recorded.append(lease.shard_id)
        return state


def work(order: Order) -> Tally:
    """Dispatch until the job is over."""
    tally, lock = Tally(), threading.Lock()

    def screen(lease: Lease) -> list[Verdict]:
        with lock:
            tally.screened.append(lease.shard_id)
        time.sleep(order.shard_s)
        return constant_verdicts(lease)

    engine = create_database_engine(order.database_url)
    store = JobStore(engine)
    queue = CountingQueue(engine, order.worker)
    queue.tally, queue.stop_before_result = tally, order.stop_before_result
    preparer = Preparer(store, lambda container: open_storage(container, S3Options()))
    held = HeldWork(store.work)
    dispatcher = Dispatcher(
        store=store,
        queue=queue,
        held_work=held,
        maintenance=[WorkTask(preparer, held, only=JobId(order.job_id))],
        runner=ThreadRunner(screen, order.in_flight),
        models=FixedModels(order.fingerprint),
        options=DispatcherOptions(
            in_flight=order.in_flight, lease_s=order.lease_s, poll_s=0.02, only_job=JobId(order.job_id)
        ),
    )
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.perf_counter()
    dispatcher.run()
    tally.seconds = time.perf_counter() - began
    engine.dispose()
    return tally


class ConstantDispatcher:
    """The process, seen from outside."""

    def __init__(self, order: Order) -> None:
        """Start it and wait until it is ready; it works after `go`."""
        root = Path(__file__).resolve().parents[2]
        path = os.pathsep.join([str(root), str(root / "platform"), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, __file__, json.dumps(asdict(order))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "ready\n":
            self.close()
            raise RuntimeError("the dispatcher did not start; its error is above")

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def result(self, timeout_s: float = 120.0) -> Tally:
        """Wait for its end."""
        out, _ = self.process.communicate(timeout=timeout_s)
        if self.process.returncode != 0:
            raise RuntimeError(f"the dispatcher ended with {self.process.returncode}")
        return Tally(**json.loads(out))

    def close(self) -> None:
        """Kill it, stopped or not."""
        self.process.kill()
        self.process.communicate()


if __name__ == "__main__":
    print(json.dumps(asdict(work(Order(**json.loads(sys.argv[1]))))))
