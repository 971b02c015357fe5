"""Many workers doing everything in any order: no image is lost, none is counted twice, no shard stays in a hand."""

from __future__ import annotations

import random

import pytest
from sqlalchemy import Engine
from support.builders import (
    FINGERPRINT,
    check_accounts,
    check_completed,
    entries,
    ready_job,
    results_of,
    shard_rows,
    unreadable,
)

from jobs.domain import JobId, Lease, Verdict
from jobs.domain.states import FINAL, JobState
from jobs.errors import ErrorCode, LeaseLost
from jobs.lifecycle.job_store import JobStore
from jobs.shards.work_queue import WorkQueue
from jobs.testing import MovableClock

LEASE_S = 60.0
IMAGES = 17
STEPS = 90


class Campaign:
    """Two workers and a stack of leases, of which many are long lost: late workers come back with old ones."""

    def __init__(self, engine: Engine, chance: random.Random) -> None:
        self.engine = engine
        self.chance = chance
        self.clock = MovableClock()
        self.store = JobStore(engine, self.clock)
        self.workers = [WorkQueue(engine, name, self.clock) for name in ("one", "two")]
        sizes = [chance.randint(1, 9) for _ in range(3)]
        self.jobs = [ready_job(engine, entries(IMAGES), shard_size=size, clock=self.clock) for size in sizes]
        self.leases: list[Lease] = []
        self.holders: dict[tuple[int, int], WorkQueue] = {}
        #: jobs that were cancelled or failed while they lived
        self.ended: set[JobId] = set()
        #: how often something that mattered happened
        self.late = self.stopped = 0

    def run(self) -> None:
        steps = [
            self.claim,
            self.finish,
            self.late_finish,
            self.heartbeat,
            self.release,
            self.fail_attempt,
            self.vanish,
        ]
        rare = [self.time_passes, self.rescue]
        for _ in range(STEPS):
            self.chance.choice([*steps, *steps, *rare])()
            if self.chance.random() < 0.03:
                self.end()
            self.check()
        self.bring_to_an_end()

    def claim(self) -> None:
        held = {lease.shard_id for lease in self.leases if self.is_held(lease)}
        worker = self.worker
        claimed = worker.claim(self.chance.randint(1, 2), LEASE_S, fingerprints=[FINGERPRINT])
        assert not held & {lease.shard_id for lease in claimed}
        assert not self.ended & {lease.job_id for lease in claimed}
        self.leases += claimed
        self.holders |= {(lease.shard_id, lease.fence): worker for lease in claimed}

    def finish(self) -> None:
        if held := [lease for lease in self.leases if self.is_held(lease)]:
            self.finish_one(self.chance.choice(held))

    def late_finish(self) -> None:
        if lost := [lease for lease in self.leases if not self.is_held(lease)]:
            self.late += 1
            self.finish_one(self.chance.choice(lost))

    def finish_one(self, lease: Lease) -> None:
        wanted = self.is_held(lease) and lease.job_id not in self.ended
        try:
            self.worker.finish(lease, some_results(lease))
        except LeaseLost:
            assert not wanted
        else:
            assert wanted

    def heartbeat(self) -> None:
        if self.leases:
            lease = self.any_lease()
            alive = self.is_held(lease) and lease.job_id not in self.ended
            holder = self.holders[lease.shard_id, lease.fence]
            assert holder.heartbeat([lease], LEASE_S) == ([] if alive else [lease])

    def release(self) -> None:
        if self.leases:
            self.worker.release(self.any_lease())

    def fail_attempt(self) -> None:
        if self.leases:
            self.worker.fail_attempt(self.any_lease(), "odd")

    def vanish(self) -> None:
        if self.leases:
            self.worker.vanished(self.any_lease(), "killed")

    def time_passes(self) -> None:
        self.clock.advance(self.chance.choice([3.0, 30.0, 61.0]))

    def rescue(self) -> None:
        self.worker.rescue()

    def end(self) -> None:
        job_id = self.chance.choice(self.jobs)
        if self.store.get(job_id).state not in FINAL | {JobState.COMPLETING}:
            self.ended.add(job_id)
            self.stopped += 1
            self.store.cancel(job_id) if self.chance.random() < 0.5 else self.store.fail(job_id, "no more")

    def check(self) -> None:
        """What holds at every moment."""
        for job_id in self.jobs:
            job = check_accounts(self.engine, job_id)
            rows = shard_rows(self.engine, job_id)
            assert sum(int(str(row["image_count"])) for row in rows) == IMAGES
            over = sum(int(str(row["image_count"])) for row in rows if row["state"] in ("done", "failed"))
            assert job.counts.done == over
            if job.state in FINAL:
                assert "leased" not in {row["state"] for row in rows}

    def bring_to_an_end(self) -> None:
        """Whatever happened: the work can be completed."""
        for _ in range(10):
            self.clock.advance(1000)
            self.worker.rescue()
            self.clock.advance(1000)
            for lease in self.worker.claim(100, LEASE_S, fingerprints=[FINGERPRINT]):
                self.worker.finish(lease, results_of(lease))
        for job_id in self.jobs:
            job = self.store.complete(job_id)
            if job_id in self.ended:
                assert job.state in (JobState.CANCELLED, JobState.FAILED)
            else:
                check_completed(self.engine, job_id, IMAGES)

    @property
    def worker(self) -> WorkQueue:
        return self.chance.choice(self.workers)

    def any_lease(self) -> Lease:
        """More often a recent one than an old one."""
        return self.chance.choice(self.leases[-6:] if self.chance.random() < 0.7 else self.leases)

    def is_held(self, lease: Lease) -> bool:
        row = next(row for row in shard_rows(self.engine, lease.job_id) if row["id"] == lease.shard_id)
        return (row["state"], row["fence"]) == ("leased", lease.fence)


def some_results(lease: Lease) -> list[Verdict]:
    """Scores, and an unreadable image here and there."""
    return [
        verdict if verdict.ordinal % 5 else unreadable(verdict.ordinal, lease.entries[i], ErrorCode.CORRUPT)
        for i, verdict in enumerate(results_of(lease, score=lambda ordinal: ordinal % 3 / 2))
    ]


@pytest.mark.parametrize("seed", range(8))
def test_everything_in_any_order(engine: Engine, seed: int) -> None:
    campaign = Campaign(engine, random.Random(seed))
    campaign.run()
    assert campaign.late > 3
