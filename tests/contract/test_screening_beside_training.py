"""While a model is trained, screening keeps to a share of its shards; it has them all again once that is over."""

from __future__ import annotations

import pytest
from support.builders import Bench, check_completed, entries, ready_job, results_of
from support.dispatching import InlineRunner, running, wait_until

from jobs import dispatcher as dispatching
from jobs.domain import Work, WorkKind
from jobs.domain.retraining import RunState
from jobs.domain.states import JobState
from jobs.ports import Outcome, OutcomeKind
from jobs.registry.dispatchers import Dispatchers, ShardBudget
from jobs.retraining.run_store import RunStore

LEASE_S = 60.0


class Training:
    """A run in somebody's hands."""

    def __init__(self, bench: Bench) -> None:
        self.runs = RunStore(bench.engine, bench.clock)
        self.id = self.runs.create({}).id

    def begin(self) -> Work:
        (work,) = self.runs.work.claim(WorkKind.RETRAINING, 1, LEASE_S)
        self.runs.enter(work, RunState.TRAINING)
        return work


class Held(InlineRunner):
    """Shards end when they are let go; `allowed` are those that its workers may be for."""

    allowed = 0
    to_end = 0

    def allow(self, shards: int) -> None:
        self.allowed = shards

    def wait(self, timeout_s: float) -> list[Outcome]:
        ended = []
        while self.to_end and self.running:
            self.to_end -= 1
            lease = self.running.pop(0)
            ended.append(Outcome(lease=lease, kind=OutcomeKind.FINISHED, verdicts=tuple(results_of(lease))))
        return ended


def test_a_run_trains_while_its_state_says_so_and_somebody_holds_it(bench: Bench) -> None:
    training = Training(bench)
    assert not training.runs.any_trains()
    (work,) = training.runs.work.claim(WorkKind.RETRAINING, 1, LEASE_S)
    training.runs.enter(work, RunState.SNAPSHOT)
    assert not training.runs.any_trains()
    training.runs.enter(work, RunState.TRAINING)
    assert training.runs.any_trains()
    bench.clock.advance(LEASE_S + 1)  # whoever had it died
    assert not training.runs.any_trains()
    (work,) = training.runs.work.claim(WorkKind.RETRAINING, 1, LEASE_S)
    assert training.runs.any_trains()
    training.runs.work.release(work, reason="the storage is away")
    assert not training.runs.any_trains()
    (work,) = training.runs.work.claim(WorkKind.RETRAINING, 1, LEASE_S)
    training.runs.enter(work, RunState.RELEASE)
    assert not training.runs.any_trains()
    training.runs.finish(work, RunState.FAILED, error="no")
    assert not training.runs.any_trains()


@pytest.mark.parametrize("ends", ["the run ends", "its lease is lost"])
def test_shards_in_flight_fall_to_their_share_and_come_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    monkeypatch.setattr(dispatching, "_BEAT_S", 0.01)
    job_id = ready_job(bench.engine, entries(40), shard_size=1, clock=bench.clock)
    training, runner, presence = Training(bench), Held(results_of), Dispatchers(bench.engine, bench.clock)
    options = {"in_flight": 5, "share_while_training": 0.5, "lease_s": 1e6}
    with running(
        bench.dispatcher(runner=runner, presence=presence, model_is_trained=training.runs.any_trains, **options)  # type: ignore[arg-type]
    ):
        wait_until(lambda: len(runner.running) == 5)
        work = training.begin()
        wait_until(lambda: presence.budget() == ShardBudget(at_once=2, usual=5))
        assert runner.allowed == 2
        assert len(runner.running) == 5  # nothing that was begun is lost
        runner.to_end = 10
        wait_until(lambda: runner.to_end == 0 and len(runner.running) == 2)
        for _ in range(5):
            runner.to_end = 1
            wait_until(lambda: runner.to_end == 0 and len(runner.running) == 2)
        assert bench.store.get(job_id).counts.done == 15
        runner.most = 0
        if ends == "the run ends":
            training.runs.finish(work, RunState.CANCELLED)
        else:
            bench.clock.advance(LEASE_S + 1)
        wait_until(lambda: len(runner.running) == 5)
        assert runner.allowed == 5
        wait_until(lambda: presence.budget() is None)
        runner.to_end = 40
        wait_until(lambda: bench.store.get(job_id).state is JobState.COMPLETED)
    check_completed(bench.engine, job_id, 40)


@pytest.mark.parametrize(
    ("usual", "share", "at_once"), [(10, 0.3, 3), (2, 0.5, 1), (3, 0.5, 1), (4, 0.0, 1), (1, 0.1, 1)]
)
def test_one_shard_always_goes_on(bench: Bench, usual: int, share: float, at_once: int) -> None:
    job_id = ready_job(bench.engine, entries(20), shard_size=1, clock=bench.clock)
    runner = InlineRunner(results_of)
    found = bench.dispatcher(
        runner=runner, only_job=job_id, in_flight=usual, share_while_training=share, model_is_trained=lambda: True
    )
    found.run()
    assert runner.most == at_once
    check_completed(bench.engine, job_id, 20)


def test_with_a_share_of_one_nobody_asks(bench: Bench) -> None:
    def asked() -> bool:
        raise AssertionError

    job_id = ready_job(bench.engine, entries(20), shard_size=1, clock=bench.clock)
    runner = InlineRunner(results_of)
    bench.dispatcher(runner=runner, only_job=job_id, in_flight=3, model_is_trained=asked).run()
    assert runner.most == 3


def test_what_several_keep_to_is_told_together_until_they_are_gone(bench: Bench) -> None:
    presence = Dispatchers(bench.engine, bench.clock)
    presence.seen("one", None, ShardBudget(at_once=1, usual=2))
    presence.seen("two", None, ShardBudget(at_once=2, usual=4))
    presence.seen("three", None)
    assert str(presence.budget()) == "a run of retraining trains: 3 of 6 shards at once"
    presence.seen("one", None)
    assert presence.budget() == ShardBudget(at_once=2, usual=4)
    bench.clock.advance(100)
    assert presence.budget() is None
