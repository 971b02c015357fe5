"""Shards on a real Ray: shared workers, deaths, suspects alone, abandoned shards."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import psutil
import pytest
from support.builders import entries, lease, results_of

from jobs.domain import Lease, Verdict
from jobs.ports import Outcome, OutcomeKind
from jobs.screening.ray_runner import IDLE_S, PLACED_WITHIN_S, RayRunner
from jobs.screening.shard_run import ShardAbandoned
from nclscreen.hosting.ray_connection import RayOptions, connected_ray

pytestmark = pytest.mark.cluster

KILLER, HELD, HUNG = 666, 777, 888
PATIENCE_S = 60


def build() -> Callable[[], object]:
    """A builder of screeners that Ray can carry to processes which cannot import this file."""

    class Odd:
        """Says in `sha256` which process it was; one shard kills the process, one hangs, one waits to be abandoned."""

        def __init__(self) -> None:
            self._abandoned = threading.Event()
            self._hung = False

        def screen(self, held: Lease) -> list[Verdict]:
            if held.shard_id == KILLER:
                time.sleep(0.5)  # its neighbour has begun
                os.kill(os.getpid(), signal.SIGKILL)
            self._hung = self._hung or held.shard_id == HUNG
            if held.shard_id in (HELD, HUNG) or (not held.suspect and held.first_ordinal):
                self._abandoned.wait(PATIENCE_S)
                raise ShardAbandoned(held.shard_id)
            return told(held)

        def abandon(self, held: Lease) -> None:
            self._abandoned.set()

        def silence(self) -> dict[int, float]:
            return {HUNG: 1e6} if self._hung else {}

        def close(self) -> None:
            pass

    def told(held: Lease) -> list[Verdict]:
        from dataclasses import replace

        return [replace(verdict, sha256=str(os.getpid())) for verdict in results_of(held)]

    return Odd


def shard(number: int, *, attempt: int = 1, vanished: int = 0, waits: bool = False) -> Lease:
    fields = {"shard_id": number, "attempt": attempt, "vanished": vanished, "first_ordinal": 2 if waits else 0}
    return lease(entries(2), **fields)


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

    for name in (__name__, "support.builders"):
        cloudpickle.register_pickle_by_value(sys.modules[name])
    with connected_ray(RayOptions(address=None, needed_cpus=4)):
        yield


@pytest.fixture
def runner(ray: None) -> Iterator[RayRunner]:
    made = RayRunner(build(), shards=4, shards_per_worker=2, cpus_per_shard=1)  # type: ignore[arg-type]
    yield made
    made.close()


def start(runner: RayRunner, shards: Sequence[Lease]) -> None:
    """Start shards as a dispatcher does: those that share workers once there is room for them."""
    fresh = [each for each in shards if not each.suspect]
    deadline = time.monotonic() + PATIENCE_S
    while runner.free < len(fresh):
        assert time.monotonic() < deadline, f"room for {runner.free} of {len(fresh)}"
        runner.make_room(len(fresh) - runner.free)
        assert runner.wait(0.2) == []
    for each in shards:
        runner.start(each)


def test_first_attempts_share_a_few_long_lived_workers(runner: RayRunner) -> None:
    assert runner.free == 0
    start(runner, [shard(i) for i in range(4)])
    assert (len(runner.running), runner.free) == (4, 0)
    assert set(runner.silence()) == {0, 1, 2, 3}
    found = outcomes(runner, 4)
    assert {outcome.kind for outcome in found} == {OutcomeKind.FINISHED}
    processes = {process_of(outcome) for outcome in found}
    assert len(processes) == 2
    start(runner, [shard(9)])
    assert process_of(outcomes(runner, 1)[0]) in processes
    assert runner.running == []
    assert runner.wait(0) == []


def test_the_worker_itself_says_how_long_a_shard_of_a_trace_took(runner: RayRunner) -> None:
    start(runner, [replace(shard(1), traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), shard(2)])
    traced, other = outcomes(runner, 2)
    assert traced.timed is not None
    assert str(traced.timed.attributes["process"]) == process_of(traced)
    assert other.timed is None


def test_a_worker_that_dies_takes_its_shards_along_and_suspects_are_tried_alone(runner: RayRunner) -> None:
    start(runner, [shard(1, waits=True), shard(2, waits=True), shard(KILLER)])
    # a free worker is chosen before a busy one: two of them are in one
    crashed = outcomes(runner, 2)
    assert [outcome.kind for outcome in crashed] == [OutcomeKind.CRASHED] * 2
    (neighbour, killer) = (outcome.lease for outcome in crashed)
    assert killer.shard_id == KILLER
    # the next try of each: the neighbour is as innocent as it was, and the killer harms nobody
    for each in (shard(neighbour.shard_id, vanished=1, waits=True), shard(KILLER, vanished=1), shard(5)):
        runner.start(each)
    found = {outcome.lease.shard_id: outcome for outcome in outcomes(runner, 3)}
    assert found[KILLER].kind is OutcomeKind.CRASHED
    assert {found[neighbour.shard_id].kind, found[5].kind} == {OutcomeKind.FINISHED}
    assert process_of(found[neighbour.shard_id]) != process_of(found[5])


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
def test_workers_that_never_come_up_cost_no_shard_anything_and_the_reason_is_told(ray: None, attempt: int) -> None:
    def broken() -> object:
        raise ValueError("no such bucket")

    runner = RayRunner(broken, shards=1, shards_per_worker=1)  # type: ignore[arg-type]
    if attempt == 1:
        runner.make_room(1)
    else:
        runner.start(shard(1, attempt=attempt))
    deadline = time.monotonic() + PATIENCE_S
    found: list[Outcome] = []
    while runner.lacks is None:
        assert time.monotonic() < deadline
        found += runner.wait(0.5)
    assert runner.lacks == "workers do not come up: ValueError: no such bucket"
    assert [outcome.kind for outcome in found] == [OutcomeKind.GIVEN_BACK] * (attempt - 1)
    assert (runner.running, runner.free) == ([], 0)


# -- signs of life; `now` is a clock of the test's own


class Later:
    """The runner's clock, which is moved."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.seconds


@pytest.fixture
def later() -> Later:
    return Later()


@pytest.fixture
def watched(ray: None, later: Later) -> Iterator[RayRunner]:
    made = RayRunner(build(), shards=2, shards_per_worker=2, cpus_per_shard=1, max_silence_s=100, now=later)  # type: ignore[arg-type]
    yield made
    made.close()


def test_a_worker_that_was_stopped_is_noticed_and_its_shards_are_counted_as_vanished(
    watched: RayRunner, later: Later
) -> None:
    """Found 6: SIGSTOP, and the dispatcher prolonged its leases for ever."""
    start(watched, [shard(1), shard(HELD)])
    (first,) = outcomes(watched, 1)
    pid = int(process_of(first) or 0)
    os.kill(pid, signal.SIGSTOP)
    for _ in range(3):
        later.seconds += 30
        assert watched.wait(0.2) == []
    assert watched.silence()[HELD] > 80
    later.seconds += 30
    (lost,) = outcomes(watched, 1)
    assert (lost.kind, lost.lease.shard_id) == (OutcomeKind.CRASHED, HELD)
    assert "no sign of life for 1" in lost.reason
    deadline = time.monotonic() + PATIENCE_S
    while is_there(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    start(watched, [shard(2)])
    assert outcomes(watched, 1)[0].kind is OutcomeKind.FINISHED


def test_a_shard_that_hangs_in_a_worker_that_lives_is_ended_and_its_neighbour_given_back(
    watched: RayRunner, later: Later
) -> None:
    start(watched, [shard(HUNG), shard(HELD)])
    later.seconds += 30  # it is time to ask for a sign of life
    held, hung = outcomes(watched, 2)
    assert (held.kind, hung.kind) == (OutcomeKind.GIVEN_BACK, OutcomeKind.BROKEN)
    assert hung.reason.startswith("no progress for 1")
    assert watched.running == []


def test_idle_workers_end_so_that_a_cluster_can_shrink(watched: RayRunner, later: Later) -> None:
    """Found 5: they were kept for as long as `up` ran."""
    start(watched, [shard(1)])
    pid = int(process_of(outcomes(watched, 1)[0]) or 0)
    later.seconds += IDLE_S - 10
    watched.wait(0)
    assert watched.free == 2
    later.seconds += 20
    watched.wait(0)
    assert watched.free == 0
    deadline = time.monotonic() + PATIENCE_S
    while is_there(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_on_a_full_cluster_nothing_is_free_and_it_is_told_what_is_missing(
    runner: RayRunner, watched: RayRunner, later: Later
) -> None:
    """Found 5: a second dispatcher on a full cluster held shards for workers that never came."""
    start(runner, [shard(i, waits=True) for i in range(4)])  # all four CPUs
    watched.make_room(2)
    for _ in range(3):
        assert watched.wait(0.2) == []
    assert (watched.free, watched.lacks) == (0, None)
    later.seconds += PLACED_WITHIN_S + 1
    assert "1 more workers with 2 CPUs each find no place on the cluster, which has 4 CPUs" in str(watched.lacks)
    later.seconds += IDLE_S
    watched.wait(0)  # nothing waits any more: it is not asked for any longer
    assert watched.lacks is None
    runner.close()


def test_while_a_model_is_trained_its_workers_find_a_place_and_screening_goes_on(runner: RayRunner) -> None:
    """A full cluster: shards were spread over all workers, none of which was ever idle, and training never began."""
    from ray.util.placement_group import placement_group, remove_placement_group

    start(runner, [shard(i, waits=True) for i in range(4)])  # all four CPUs
    training = placement_group([{"CPU": 1}] * 2)  # as Ray Train asks
    runner.allow(2)
    assert (runner.free, len(runner.running)) == (0, 4)
    assert not training.wait(1)
    # the shards of one worker are over; without a handle it ends, so none is kept here
    runner.abandon([lease for worker in runner._workers if worker.leaving for lease in worker.shards.values()])
    deadline = time.monotonic() + IDLE_S / 2
    while not training.wait(0.1):
        assert time.monotonic() < deadline
        assert runner.wait(0.1) == []
    runner.make_room(2)
    assert (len(runner._workers), len(runner.running)) == (1, 2)  # no more is asked for
    runner.abandon(runner.running)
    start(runner, [shard(8), shard(9)])
    assert [outcome.kind for outcome in outcomes(runner, 2)] == [OutcomeKind.FINISHED] * 2
    runner.allow(4)
    remove_placement_group(training)
    start(runner, [shard(i) for i in range(4)])
    assert len({process_of(outcome) for outcome in outcomes(runner, 4)}) == 2


def is_there(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False
