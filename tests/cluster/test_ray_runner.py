"""Shards on a real Ray: shared workers, deaths, suspects alone, abandoned shards."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from support.builders import entries, lease, results_of

from jobs.domain import Lease, Verdict
from jobs.ports import Outcome, OutcomeKind
from jobs.screening.ray_runner import RayRunner
from jobs.screening.shard_run import ShardAbandoned
from nclscreen.hosting.ray_connection import RayOptions, connected_ray

pytestmark = pytest.mark.cluster

KILLER, HELD = 666, 777
PATIENCE_S = 60


def build() -> Callable[[], object]:
    """A builder of screeners that Ray can carry to processes which cannot import this file."""

    class Odd:
        """Says in `sha256` which process it was; one shard kills the process, another waits to be abandoned."""

        def __init__(self) -> None:
            self._abandoned = threading.Event()
            self._entered = threading.Semaphore(0)

        def screen(self, held: Lease) -> list[Verdict]:
            if held.shard_id == KILLER:
                time.sleep(0.5)  # its neighbour has begun
                os.kill(os.getpid(), signal.SIGKILL)
            if held.shard_id == HELD or (held.attempt == 1 and held.first_ordinal):
                self._abandoned.wait(PATIENCE_S)
                raise ShardAbandoned(held.shard_id)
            return told(held)

        def abandon(self, held: Lease) -> None:
            self._abandoned.set()

        def close(self) -> None:
            pass

    def told(held: Lease) -> list[Verdict]:
        from dataclasses import replace

        return [replace(verdict, sha256=str(os.getpid())) for verdict in results_of(held)]

    return Odd


def shard(number: int, *, attempt: int = 1, waits: bool = False) -> Lease:
    return lease(entries(2), shard_id=number, attempt=attempt, first_ordinal=2 if waits else 0)


def outcomes(runner: RayRunner, count: int) -> list[Outcome]:
    found: list[Outcome] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(found) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} outcomes"
        found += runner.wait(1.0)
    return sorted(found, key=lambda outcome: outcome.lease.shard_id)


def process_of(outcome: Outcome) -> str | None:
    return outcome.verdicts[0].sha256


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    import sys

    from ray import cloudpickle

    for name in (__name__, "builders"):
        cloudpickle.register_pickle_by_value(sys.modules[name])
    with connected_ray(RayOptions(address=None, needed_cpus=4)):
        yield


@pytest.fixture
def runner(ray: None) -> RayRunner:
    return RayRunner(build(), shards=4, shards_per_worker=2, cpus_per_shard=1)  # type: ignore[arg-type]


def start(runner: RayRunner, shards: Sequence[Lease]) -> None:
    for each in shards:
        runner.start(each)


def test_first_attempts_share_a_few_long_lived_workers(runner: RayRunner) -> None:
    start(runner, [shard(i) for i in range(8)])
    assert len(runner.running) == 8
    found = outcomes(runner, 8)
    assert {outcome.kind for outcome in found} == {OutcomeKind.FINISHED}
    processes = {process_of(outcome) for outcome in found}
    assert 1 <= len(processes) <= 2
    start(runner, [shard(9)])
    assert process_of(outcomes(runner, 1)[0]) in processes
    assert runner.running == []
    assert runner.wait(0) == []


def test_a_worker_that_dies_takes_its_shards_along_and_suspects_are_tried_alone(runner: RayRunner) -> None:
    neighbour = shard(1, waits=True)
    start(runner, [neighbour, shard(KILLER)])
    assert [outcome.kind for outcome in outcomes(runner, 2)] == [OutcomeKind.CRASHED] * 2
    # the next attempt of each: the neighbour is as innocent as it was, and the killer harms nobody
    start(runner, [shard(1, attempt=2, waits=True), shard(KILLER, attempt=2), shard(2)])
    first, second, killer = outcomes(runner, 3)
    assert (first.kind, second.kind, killer.kind) == (
        OutcomeKind.FINISHED, OutcomeKind.FINISHED, OutcomeKind.CRASHED,
    )  # fmt: skip
    assert process_of(first) != process_of(second)


def test_a_shard_is_abandoned_and_its_place_is_free_again(runner: RayRunner) -> None:
    held = [shard(HELD), shard(HELD, attempt=2)]
    start(runner, held)
    for _ in range(3):
        assert runner.wait(0.3) == []
    runner.abandon(held)
    assert runner.running == []
    start(runner, [shard(i) for i in range(4)])
    assert [outcome.kind for outcome in outcomes(runner, 4)] == [OutcomeKind.FINISHED] * 4


def test_workers_are_no_larger_than_the_largest_node(runner: RayRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    dead, small = ({"Alive": alive, "Resources": {"CPU": cpus}} for alive, cpus in [(False, 64.0), (True, 1.0)])
    head = {"Alive": True, "Resources": {"memory": 1e9}}
    monkeypatch.setattr("jobs.screening.ray_runner.ray.nodes", lambda: [head, dead, small])
    neighbour = shard(1, waits=True)
    start(runner, [neighbour, shard(KILLER)])
    (outcome,) = outcomes(runner, 1)
    assert (outcome.lease.shard_id, outcome.kind) == (KILLER, OutcomeKind.CRASHED)
    assert runner.wait(1.0) == []
    assert runner.running == [neighbour]  # it was in another worker


@pytest.mark.parametrize("attempt", [1, 2], ids=["shared worker", "alone"])
def test_workers_that_never_come_up_are_charged_to_shards_with_the_reason(ray: None, attempt: int) -> None:
    def broken() -> object:
        raise ValueError("no such bucket")

    runner = RayRunner(broken, shards=1, shards_per_worker=1)  # type: ignore[arg-type]
    runner.start(shard(1, attempt=attempt))
    (outcome,) = outcomes(runner, 1)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.CRASHED, "ValueError: no such bucket")
    assert runner.running == []
