"""Many workers doing everything in any order: no image is lost, none is counted twice, no shard stays in a hand."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from builders import (
    FINGERPRINT,
    MovableClock,
    check_accounts,
    check_completed,
    entries,
    ready_job,
    results_of,
    shard_rows,
    unreadable,
)
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from jobs.database import create_database_engine
from jobs.domain import JobId, Lease, Verdict
from jobs.errors import ErrorCode, LeaseLost
from jobs.job_store import JobStore
from jobs.states import FINAL, JobState
from jobs.work_queue import WorkQueue

LEASE_S = 60.0
IMAGES = 17


class Campaign(RuleBasedStateMachine):
    """Two workers and a stack of leases, of which some are long lost."""

    schema: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="nclscreen-campaign-"))
        shutil.copy(self.schema, self.folder / "jobs.db")
        self.engine = create_database_engine(f"sqlite:///{self.folder / 'jobs.db'}")
        self.clock = MovableClock()
        self.store = JobStore(self.engine, self.clock)
        self.workers = [WorkQueue(self.engine, name, self.clock) for name in ("one", "two")]
        self.jobs: list[JobId] = []
        #: every lease ever given out, never forgotten: late workers come back with old ones
        self.leases: list[Lease] = []
        self.ended: set[JobId] = set()

    @initialize(shard_sizes=st.lists(st.integers(1, 9), min_size=1, max_size=2))
    def submit(self, shard_sizes: list[int]) -> None:
        for size in shard_sizes:
            job_id = ready_job(self.engine, entries(IMAGES), shard_size=size, clock=self.clock)
            self.jobs.append(job_id)

    @rule(worker=st.integers(0, 1), limit=st.integers(1, 4))
    def claim(self, worker: int, limit: int) -> None:
        held = {lease.shard_id for lease in self.leases if self.is_held(lease)}
        claimed = self.workers[worker].claim(limit, LEASE_S, fingerprint=FINGERPRINT)
        assert not held & {lease.shard_id for lease in claimed}
        assert not self.ended & {lease.job_id for lease in claimed}
        self.leases += claimed

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), worker=st.integers(0, 1))
    def finish(self, data: st.DataObject, worker: int) -> None:
        lease = self.any_lease(data)
        wanted = self.is_held(lease) and lease.job_id not in self.ended
        try:
            self.workers[worker].finish(lease, some_results(lease))
        except LeaseLost:
            assert not wanted
        else:
            assert wanted

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def heartbeat(self, data: st.DataObject) -> None:
        lease = self.any_lease(data)
        alive = self.is_held(lease) and lease.job_id not in self.ended
        assert self.workers[0].heartbeat([lease], LEASE_S) == ([] if alive else [lease])

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        self.workers[0].release(self.any_lease(data))

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), crashed=st.booleans())
    def fail_attempt(self, data: st.DataObject, crashed: bool) -> None:
        self.workers[0].fail_attempt(self.any_lease(data), "odd", crashed=crashed)

    @rule(seconds=st.sampled_from([1.0, 30.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(worker=st.integers(0, 1))
    def rescue(self, worker: int) -> None:
        self.workers[worker].rescue()

    @rule(data=st.data(), fails=st.booleans())
    def end(self, data: st.DataObject, fails: bool) -> None:
        if data.draw(st.integers(0, 5)) == 0:
            job_id = data.draw(st.sampled_from(self.jobs))
            if self.store.get(job_id).state not in FINAL | {JobState.COMPLETING}:
                self.ended.add(job_id)
                self.store.fail(job_id, "no more") if fails else self.store.cancel(job_id)

    @invariant()
    def accounts_are_right(self) -> None:
        for job_id in self.jobs:
            job = check_accounts(self.engine, job_id)
            rows = shard_rows(self.engine, job_id)
            assert sum(int(str(row["image_count"])) for row in rows) == IMAGES
            over = sum(int(str(row["image_count"])) for row in rows if row["state"] in ("done", "failed"))
            assert job.counts.done == over
            if job.state in FINAL:
                assert "leased" not in {row["state"] for row in rows}

    def teardown(self) -> None:
        """Whatever happened: the work can be brought to its end."""
        try:
            self.clock.advance(1000)
            for _ in range(40):
                self.workers[1].rescue()
                self.clock.advance(1000)
                for lease in self.workers[1].claim(100, 1e6, fingerprint=FINGERPRINT):
                    self.workers[1].finish(lease, results_of(lease))
            for job_id in self.jobs:
                job = self.store.complete(job_id)
                if job_id in self.ended:
                    assert job.state in (JobState.CANCELLED, JobState.FAILED)
                else:
                    check_completed(self.engine, job_id, IMAGES)
        finally:
            self.engine.dispose()
            shutil.rmtree(self.folder)

    def any_lease(self, data: st.DataObject) -> Lease:
        return data.draw(st.sampled_from(self.leases))

    def is_held(self, lease: Lease) -> bool:
        row = next(row for row in shard_rows(self.engine, lease.job_id) if row["id"] == lease.shard_id)
        return (row["state"], row["fence"]) == ("leased", lease.fence)


def some_results(lease: Lease) -> list[Verdict]:
    """Scores, and an unreadable image here and there."""
    return [
        verdict if verdict.ordinal % 5 else unreadable(verdict.ordinal, lease.entries[i], ErrorCode.CORRUPT)
        for i, verdict in enumerate(results_of(lease, score=lambda ordinal: ordinal % 3 / 2))
    ]


@pytest.fixture
def machine(migrated_file: Path) -> type[Campaign]:
    Campaign.schema = migrated_file
    return Campaign


def test_everything_in_any_order(machine: type[Campaign]) -> None:
    machine.TestCase.settings = settings(
        max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
    )
    machine.TestCase("runTest").debug()
