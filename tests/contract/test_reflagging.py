"""Another threshold for a job that is over: exactly the rows that cross change, whoever is killed at it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import select, update
from support.builders import FINGERPRINT, Bench, entry, ready_job, scored, unreadable
from support.queueing import LEASE_S

from jobs.domain import Decision, JobId, VerdictRef, Work, WorkKind
from jobs.domain.reviews import NewReview
from jobs.domain.states import JobState
from jobs.errors import JobNotFound, RequestRefused, WorkLost
from jobs.leased_work.held import HeldWork
from jobs.leased_work.leases import WorkLeases
from jobs.leased_work.task import WorkTask
from jobs.lifecycle import reflagging
from jobs.lifecycle.job_store import JobStore
from jobs.lifecycle.reflagger import Reflagger
from jobs.reviews import ReviewStore
from jobs.sql.database import reading, writing
from jobs.sql.tables import jobs
from jobs.verdicts import Replay, VerdictFilter, VerdictStore

SCORES = [0.1 * step for step in range(10)] * 4  # 40 images, every tenth the same


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reflagging, "_VERDICTS", 15)


def screened(bench: Bench, scores: Sequence[float] = SCORES) -> JobId:
    """A job with these scores, flagged from 0.5 on, and one image without a score."""
    images = [entry(f"{i}.jpg") for i in range(len(scores) + 1)]
    job_id = ready_job(bench.engine, images, shard_size=len(images))
    (lease,) = bench.queue().claim(1, 60, fingerprints=[FINGERPRINT], job_id=job_id)
    found = [replace(scored(i, images[i], score), flagged=score >= 0.5) for i, score in enumerate(scores)]
    bench.queue().finish(lease, [*found, unreadable(len(scores), images[-1])])
    bench.store.complete(job_id)
    return job_id


def claimed(bench: Bench, job_id: JobId) -> Work:
    (work,) = bench.store.work.claim(WorkKind.REFLAGGING, 1, LEASE_S, job_id=job_id)
    return work


def flagged(bench: Bench, job_id: JobId) -> set[int]:
    found = VerdictStore(bench.engine).listing(VerdictFilter(job_id=job_id, flagged=True))
    return {each.verdict.ordinal for each in found}


def check(bench: Bench, job_id: JobId, threshold: float) -> None:
    """Rows, counter and job agree, and the scores stayed."""
    expected = {i for i, score in enumerate(SCORES) if score >= threshold}
    job = bench.store.get(job_id)
    assert flagged(bench, job_id) == expected
    assert (job.threshold, job.reflag_to, job.counts.flagged) == (threshold, None, len(expected))
    stored = {each.verdict.ordinal: each.verdict.score for each in VerdictStore(bench.engine).of_job(job_id)}
    assert stored == {**dict(enumerate(SCORES)), len(SCORES): None}


@pytest.mark.parametrize("threshold", [0.0, 0.25, 0.3 + 1e-9, 0.5, 0.75, 1.0])
def test_the_rows_that_cross_are_rewritten_and_no_others(bench: Bench, threshold: float) -> None:
    job_id, other = screened(bench), screened(bench)
    counted = VerdictStore(bench.engine).replay(job_id, Replay(score=threshold))
    job = bench.store.begin_reflagging(job_id, threshold, {"max_fpr": 0.1})
    assert (job.threshold, job.reflag_to) == (0.5, threshold)
    steps = list(bench.store.reflag(claimed(bench, job_id)))
    assert len(steps) == 3  # of 15 rows each
    assert sum(steps) == counted.added + counted.removed
    check(bench, job_id, threshold)
    assert bench.store.get(job_id).policy == {"max_fpr": 0.1}
    check(bench, other, 0.5)
    assert bench.store.work.claim(WorkKind.REFLAGGING, 1, LEASE_S) == []


def test_back_and_forth_is_as_it_was(bench: Bench) -> None:
    job_id = screened(bench)
    for threshold in (0.2, 0.8, 0.5):
        bench.store.begin_reflagging(job_id, threshold)
        list(bench.store.reflag(claimed(bench, job_id)))
        check(bench, job_id, threshold)


@pytest.mark.parametrize("survived", range(4))
def test_whoever_is_killed_is_followed_by_another(bench: Bench, survived: int) -> None:
    """At every moment the job's counter is the number of flagged rows."""
    job_id = screened(bench)
    bench.store.begin_reflagging(job_id, 0.15)
    killed = bench.store.reflag(claimed(bench, job_id))
    for _ in range(survived):
        next(killed, None)
    assert bench.store.get(job_id).counts.flagged == len(flagged(bench, job_id))
    bench.clock.advance(LEASE_S + 1)
    if survived == 3:
        assert next(killed, None) is None  # its last step came before anybody took it
    else:
        work = claimed(bench, job_id)
        with pytest.raises(WorkLost):
            list(killed)
        list(bench.store.reflag(work))
    check(bench, job_id, 0.15)


def test_another_threshold_in_mid_way_is_the_one_that_counts(bench: Bench) -> None:
    job_id = screened(bench)
    bench.store.begin_reflagging(job_id, 0.0)
    overtaken = bench.store.reflag(claimed(bench, job_id))
    next(overtaken)
    assert bench.store.begin_reflagging(job_id, 0.85).reflag_to == 0.85
    with pytest.raises(WorkLost):
        list(overtaken)
    list(bench.store.reflag(claimed(bench, job_id)))
    check(bench, job_id, 0.85)


def test_a_dispatcher_does_it(bench: Bench) -> None:
    job_id = screened(bench)
    bench.store.begin_reflagging(job_id, 0.35)
    told: list[int] = []
    task = WorkTask(Reflagger(bench.store, told.append), HeldWork(WorkLeases(bench.engine, bench.clock)))
    assert task.step(threading.Event())
    check(bench, job_id, 0.35)
    assert sum(told) == 4
    assert not task.step(threading.Event())


def test_one_that_fails_says_so_and_can_be_asked_for_again(bench: Bench) -> None:
    job_id = screened(bench)
    bench.store.begin_reflagging(job_id, 0.35)
    Reflagger(bench.store).give_up(claimed(bench, job_id), "the disk is full")
    assert bench.store.reflagging_failed(job_id) == "the disk is full"
    assert bench.store.get(job_id).reflag_to == 0.35
    bench.store.begin_reflagging(job_id, 0.35)
    assert bench.store.reflagging_failed(job_id) is None
    list(bench.store.reflag(claimed(bench, job_id)))
    check(bench, job_id, 0.35)


def test_reviews_stay_and_hold(bench: Bench) -> None:
    job_id = screened(bench)
    found = VerdictStore(bench.engine).at(VerdictRef(job_id=job_id, ordinal=9))
    ReviewStore(bench.engine).add(found, NewReview(decision=Decision.CONFIRMED, reviewer="ann"))
    bench.store.begin_reflagging(job_id, 0.95)
    list(bench.store.reflag(claimed(bench, job_id)))
    found = VerdictStore(bench.engine).at(VerdictRef(job_id=job_id, ordinal=9))
    assert (found.verdict.flagged, found.review) == (False, Decision.CONFIRMED)


def test_a_job_that_is_not_over_and_one_of_others_are_refused(bench: Bench) -> None:
    running = ready_job(bench.engine, [entry("a.jpg")])
    with pytest.raises(RequestRefused, match="flag anew"):
        bench.store.begin_reflagging(running, 0.4)
    job_id = screened(bench)
    with pytest.raises(JobNotFound):
        JobStore(bench.engine, project="lab").begin_reflagging(job_id, 0.4)  # type: ignore[arg-type]
    assert bench.store.get(job_id).reflag_to is None


def test_a_job_that_is_deleted_meanwhile_goes(bench: Bench) -> None:
    job_id = screened(bench)
    bench.store.begin_reflagging(job_id, 0.4)
    work = claimed(bench, job_id)
    assert bench.store.begin_deletion(job_id).state is JobState.DELETING
    with pytest.raises(WorkLost):
        list(bench.store.reflag(work))
    with pytest.raises(RequestRefused):
        bench.store.begin_reflagging(job_id, 0.4)


def test_a_job_without_verdicts_has_its_threshold_at_once(bench: Bench) -> None:
    job_id = ready_job(bench.engine, [entry("a.jpg")])
    bench.store.cancel(job_id)
    assert bench.store.get(job_id).state is JobState.CANCELLED
    bench.store.begin_reflagging(job_id, 0.4)
    assert list(bench.store.reflag(claimed(bench, job_id))) == []
    with reading(bench.engine) as connection:
        row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one()
    assert (row.threshold, row.reflag_to, row.flagged) == (0.4, None, 0)


def test_nothing_is_rewritten_for_whoever_cleared_it_already(bench: Bench) -> None:
    job_id = screened(bench)
    bench.store.begin_reflagging(job_id, 0.0)
    work = claimed(bench, job_id)
    with writing(bench.engine) as connection:
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(reflag_to=None))
    assert list(bench.store.reflag(work)) == []
    check(bench, job_id, 0.5)
