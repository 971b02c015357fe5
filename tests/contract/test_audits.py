"""Audits on both databases: drawn once, in random order, counted by the decisions that hold, gone with their job."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import func, select
from support.builders import FINGERPRINT, Bench, entry, ready_job, scored, unreadable

from jobs.domain import Decision, Job, JobId, NewReview, ReviewState, VerdictRef
from jobs.errors import InvalidFilter, RequestRefused
from jobs.leased_work.held import HeldWork
from jobs.leased_work.leases import WorkLeases
from jobs.leased_work.task import WorkTask
from jobs.lifecycle.deleter import Deleter
from jobs.lifecycle.reflagger import Reflagger
from jobs.reviews import AuditStore, ReviewStore
from jobs.reviews.errors import AuditNotFound, NothingToAudit
from jobs.sql.database import reading
from jobs.sql.review_tables import audit_images
from jobs.verdicts import VerdictFilter, VerdictStore


@pytest.fixture
def store(bench: Bench) -> AuditStore:
    return AuditStore(bench.engine, bench.clock)


@pytest.fixture
def job(bench: Bench) -> Job:
    """Forty images with scores from 0 to 0.975, and one without."""
    images = [entry(f"{i:02d}.jpg") for i in range(41)]
    job_id = ready_job(bench.engine, images, shard_size=41)
    (lease,) = bench.queue().claim(1, 60, fingerprints=[FINGERPRINT], job_id=job_id)
    bench.queue().finish(lease, [*(scored(i, images[i], i / 40) for i in range(40)), unreadable(40, images[40])])
    return bench.store.complete(job_id)


def draw(store: AuditStore, job: Job, size: int = 12, seed: int = 0) -> int:
    return store.draw(job, size=size, seed=seed, drawn_by="ann").number


def wanted(job: Job, audit: int = 1, **fields: object) -> VerdictFilter:
    return VerdictFilter(job_id=job.id, audit=audit, **fields)  # type: ignore[arg-type]


def ordinals(bench: Bench, asked: VerdictFilter) -> list[int]:
    return [found.verdict.ordinal for found in VerdictStore(bench.engine).stream(asked)]


def test_a_sample_is_drawn_and_found_again(bench: Bench, store: AuditStore, job: Job) -> None:
    audit = store.draw(job, size=12, seed=3, drawn_by="ann 写")
    assert (audit.number, audit.size, audit.seed, audit.threshold, audit.unscored) == (1, 12, 3, 0.5, 1)
    assert audit.drawn_by == "ann 写"
    assert [stratum.images for stratum in audit.strata] == [10, 10, 10, 10]
    assert [stratum.drawn for stratum in audit.strata] == [3, 3, 3, 3]
    assert store.get(job.id) == audit
    found = ordinals(bench, wanted(job))
    assert len(set(found)) == 12
    assert found != sorted(found)
    assert [sum(low <= each < low + 10 for each in found) for low in (30, 20, 10, 0)] == [3, 3, 3, 3]
    assert VerdictStore(bench.engine).count(wanted(job)) == 12
    flagged = ordinals(bench, wanted(job, flagged=True))
    assert flagged == [each for each in found if each >= 20]


def test_the_same_numbers_draw_no_second_one(store: AuditStore, job: Job) -> None:
    assert [draw(store, job), draw(store, job), draw(store, job, seed=1), draw(store, job)] == [1, 1, 2, 3]
    assert store.get(job.id).number == 3
    assert store.get(job.id, 2).seed == 1
    with pytest.raises(AuditNotFound):
        store.get(job.id, 4)
    with pytest.raises(AuditNotFound):
        store.get(JobId("nobody"))


def test_pages_of_a_sample_have_each_image_once_while_it_is_reviewed(bench: Bench, store: AuditStore, job: Job) -> None:
    draw(store, job)
    whole, seen, cursor = ordinals(bench, wanted(job)), [], None
    reviews, verdicts = ReviewStore(bench.engine, bench.clock), VerdictStore(bench.engine)
    while True:
        page = verdicts.page(wanted(job, review=ReviewState.UNREVIEWED), 5, cursor)
        for found in page.items:
            seen.append(found.verdict.ordinal)
            reviews.add(found, NewReview(decision=Decision.REJECTED, reviewer="ann"))
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == whole


def test_decisions_are_counted_by_stratum(bench: Bench, store: AuditStore, job: Job) -> None:
    audit = store.draw(job, size=12, seed=0, drawn_by="ann")
    reviews, verdicts = ReviewStore(bench.engine, bench.clock), VerdictStore(bench.engine)
    sample = ordinals(bench, wanted(job))
    high, low = ([each for each in sample if each >= 30], [each for each in sample if each < 10])
    outside = next(each for each in range(40) if each not in sample)
    said = {high[0]: [Decision.CONFIRMED], high[1]: [Decision.CONFIRMED, Decision.UNSURE], low[0]: [Decision.REJECTED]}
    for ordinal, decisions in (said | {outside: [Decision.CONFIRMED]}).items():
        for decision in decisions:
            found = verdicts.at(VerdictRef(job_id=job.id, ordinal=ordinal))
            reviews.add(found, NewReview(decision=decision, reviewer="ann"))
    counted = store.reviewed(audit)
    assert [(each.confirmed, each.rejected, each.unsure, each.unreviewed) for each in counted] == [
        (1, 0, 1, 1),
        (0, 0, 0, 3),
        (0, 0, 0, 3),
        (0, 1, 0, 2),
    ]


def test_jobs_that_cannot_be_audited(bench: Bench, store: AuditStore) -> None:
    images = [entry("0.jpg")]
    job_id = ready_job(bench.engine, images)
    with pytest.raises(RequestRefused, match="wait until it is over"):
        draw(store, bench.store.get(job_id))
    (lease,) = bench.queue().claim(1, 60, fingerprints=[FINGERPRINT], job_id=job_id)
    bench.queue().finish(lease, [unreadable(0, images[0])])
    with pytest.raises(NothingToAudit):
        draw(store, bench.store.complete(job_id))
    with pytest.raises(InvalidFilter):
        VerdictFilter(audit=1, flagged=True)


def test_a_threshold_that_is_being_changed_is_waited_for(bench: Bench, store: AuditStore, job: Job) -> None:
    with pytest.raises(RequestRefused, match="no threshold is being changed"):
        draw(store, bench.store.begin_reflagging(job.id, 0.7))
    task = WorkTask(Reflagger(bench.store), HeldWork(WorkLeases(bench.engine, bench.clock)))
    while task.step(threading.Event()):
        pass
    draw(store, bench.store.get(job.id))
    assert [stratum.images for stratum in store.get(job.id).strata] == [6, 6, 14, 14]


def test_who_draws_at_once_gets_a_whole_sample_each(bench: Bench, store: AuditStore, job: Job) -> None:
    gate = Barrier(4)

    def person(seed: int) -> int:
        gate.wait()
        return draw(store, job, seed=seed)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(person, range(4))) == [1, 2, 3, 4]
    assert [len(ordinals(bench, wanted(job, number))) for number in (1, 2, 3, 4)] == [12] * 4


def test_samples_go_with_their_job(bench: Bench, store: AuditStore, job: Job) -> None:
    draw(store, job)
    bench.store.begin_deletion(job.id)
    task = WorkTask(Deleter(bench.store), HeldWork(WorkLeases(bench.engine, bench.clock)))
    while task.step(threading.Event()):
        pass
    with reading(bench.engine) as connection:
        assert connection.scalar(select(func.count()).select_from(audit_images)) == 0
    with pytest.raises(AuditNotFound):
        store.get(job.id)
