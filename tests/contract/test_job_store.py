"""Jobs in SQL: submitted, prepared, listed, ended."""

from __future__ import annotations

import itertools
import time

import pytest
from sqlalchemy import update
from support.builders import (
    CONTAINER,
    FINGERPRINT,
    MODEL,
    Bench,
    entries,
    new_job,
    ready_job,
    results_of,
    shard_rows,
)

from jobs.domain import Filters, JobId, JobOptions, ModelDemand, ModelRef
from jobs.domain.states import TRANSITIONS, JobState
from jobs.errors import IllegalTransition, InvalidSource, JobNotFound, WorkLost
from jobs.lifecycle import submissions
from jobs.lifecycle.preparation_leases import Preparation
from jobs.lifecycle.submissions import new_job_id
from jobs.sql.database import writing
from jobs.sql.tables import jobs

ODD_SOURCES = ["s3://photos/a 'b' \"c\" ; --", "/photos/写真/é 😀", "/new\nline\tand tab", "file:///x%FF", "x" * 10_000]


def take(bench: Bench, job_id: JobId | None = None) -> Preparation:
    preparation = bench.store.claim_preparation(60, job_id)
    assert preparation is not None
    return preparation


def force(bench: Bench, job_id: JobId, state: JobState) -> None:
    with writing(bench.engine) as connection:
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(state=state.value))


# -- submit and look up


def test_a_submitted_job_waits_to_be_prepared(bench: Bench) -> None:
    filters = Filters(
        suffixes=(".x", ".é"),
        contains="a'b\"%_",
        modified_after=1.5,
        modified_before=2e9,
        min_bytes=0,
        max_bytes=2**40,
    )
    job = bench.store.get(bench.store.submit(new_job(filters=filters, threshold=0.123456789012345)))
    assert (job.state, job.source, job.filters) == (JobState.PREPARING, f"{CONTAINER}/", filters)
    assert (job.threshold, job.model.fingerprint) == (0.123456789012345, FINGERPRINT)
    assert (job.counts.total, job.ignored, job.error, job.started_at, job.finished_at) == (0, 0, None, None, None)
    assert job.created_at == pytest.approx(time.time(), abs=60)


@pytest.mark.parametrize("source", ODD_SOURCES)
def test_odd_sources_are_kept_as_they_are(bench: Bench, source: str) -> None:
    model = ModelRef(name="modèle 'x' 写", fingerprint=FINGERPRINT)
    job = bench.store.get(bench.store.submit(new_job(source=source, model=model)))
    assert (job.source, job.model) == (source, model)


@pytest.mark.parametrize("source", ["/a\0b", "/odd-\udcff-name"])
def test_a_source_that_is_not_text_is_refused(bench: Bench, source: str) -> None:
    with pytest.raises(InvalidSource, match="it is not text; write it as file:///"):
        bench.store.submit(new_job(source=source))


@pytest.mark.parametrize("job_id", ["nobody", "", "x'--", "a\0", "\udcff", "x" * 100])
def test_there_is_no_such_job(bench: Bench, job_id: str) -> None:
    for ask in (bench.store.get, bench.store.cancel, lambda one: bench.store.fail(one, "why")):
        with pytest.raises(JobNotFound):
            ask(job_id)


def test_ids_sort_by_age(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count(1_700_000_000_000_000_000, 1_000_000)
    monkeypatch.setattr(submissions.time, "time_ns", lambda: next(ticks))
    ids = [new_job_id() for _ in range(2000)]
    assert ids == sorted(ids)
    assert {len(each) for each in ids} == {16}


def test_ids_of_one_moment_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submissions.time, "time_ns", lambda: 1_700_000_000_000_000_000)
    assert len({new_job_id() for _ in range(1000)}) == 1000


def test_the_latest_come_first(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count(1_700_000_000_000_000_000, 1_000_000)
    monkeypatch.setattr(submissions.time, "time_ns", lambda: next(ticks))
    ids = [bench.store.submit(new_job()) for _ in range(5)]
    assert [job.id for job in bench.store.latest(3)] == ids[:1:-1]


def test_a_job_is_attended_while_somebody_prepares_it_or_holds_a_shard_of_it(bench: Bench) -> None:
    waiting = bench.submit(4)
    assert not bench.store.attended(waiting)
    assert bench.store.claim_preparation(60, waiting) is not None
    assert bench.store.attended(waiting)
    bench.clock.advance(61)
    assert not bench.store.attended(waiting)

    ready = ready_job(bench.engine, entries(8))
    assert not bench.store.attended(ready)
    held, _ = bench.queue().claim(2, 60, fingerprints=[FINGERPRINT], job_id=ready)
    assert bench.store.attended(ready)
    bench.queue().finish(held, results_of(held))
    assert bench.store.attended(ready)
    bench.clock.advance(61)
    assert not bench.store.attended(ready)


# -- preparation


def test_a_job_is_prepared_by_one_alone_oldest_first(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count(1_700_000_000_000_000_000, 1_000_000)
    monkeypatch.setattr(submissions.time, "time_ns", lambda: next(ticks))
    ids = [bench.store.submit(new_job()) for _ in range(2)]
    assert [take(bench).job.id, take(bench).job.id] == ids
    assert bench.store.claim_preparation(60) is None


def test_only_the_job_that_was_asked_for(bench: Bench) -> None:
    bench.store.submit(new_job())
    wanted = bench.store.submit(new_job())
    assert take(bench, wanted).job.id == wanted
    assert bench.store.claim_preparation(60, wanted) is None


def test_a_prepared_job_is_ready_with_its_totals(bench: Bench) -> None:
    job_id = bench.store.submit(new_job())
    preparation = take(bench)
    bench.store.extend_preparation(preparation, 60, shard=entries(3), ignored=2)
    bench.store.extend_preparation(preparation, 60, shard=entries(2, first=3), first_ordinal=3, ignored=4)
    job = bench.store.get(job_id)
    assert (job.state, job.counts.total, job.ignored) == (JobState.PREPARING, 5, 4)
    bench.store.finish_preparation(preparation, ignored=7)
    job = bench.store.get(job_id)
    assert (job.state, job.counts.total, job.ignored) == (JobState.READY, 5, 7)
    assert [(row["first_ordinal"], row["image_count"]) for row in shard_rows(bench.engine, job_id)] == [(0, 3), (3, 2)]


def test_the_next_preparer_starts_over_and_the_late_one_is_shut_out(bench: Bench) -> None:
    job_id = bench.store.submit(new_job())
    late = take(bench)
    bench.store.extend_preparation(late, 60, shard=entries(3), ignored=9)
    bench.clock.advance(61)
    again = take(bench)
    assert (again.job.id, again.job.counts.total, again.job.ignored) == (job_id, 0, 0)
    for late_step in (
        lambda: bench.store.extend_preparation(late, 60, shard=entries(3)),
        lambda: bench.store.finish_preparation(late, ignored=0),
        lambda: bench.store.release_preparation(late),
        lambda: bench.store.fail_preparation(late, "too late"),
    ):
        with pytest.raises(WorkLost):
            late_step()
    bench.store.extend_preparation(again, 60, shard=entries(1))
    bench.store.finish_preparation(again, ignored=0)
    assert bench.store.get(job_id).counts.total == 1
    assert len(shard_rows(bench.engine, job_id)) == 1


def test_a_sign_of_life_keeps_the_job(bench: Bench) -> None:
    bench.store.submit(new_job())
    preparation = take(bench)
    bench.clock.advance(50)
    bench.store.extend_preparation(preparation, 60)
    bench.clock.advance(50)
    assert bench.store.claim_preparation(60) is None


def test_a_released_job_can_be_taken_at_once(bench: Bench) -> None:
    bench.store.submit(new_job())
    bench.store.release_preparation(take(bench))
    assert take(bench).work.fence == 2


@pytest.mark.parametrize("reason", ["no such bucket", "odd \0\ud800 text", "x" * 100_000])
def test_a_failed_preparation_fails_the_job(bench: Bench, reason: str) -> None:
    job_id = bench.store.submit(new_job())
    bench.store.fail_preparation(take(bench), reason)
    job = bench.store.get(job_id)
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error[:3] == reason[:3]
    assert len(job.error) <= 4000
    assert job.finished_at is not None


def test_a_job_cancelled_during_preparation_stops_at_once(bench: Bench) -> None:
    job_id = bench.store.submit(new_job())
    preparation = take(bench)
    assert bench.store.cancel(job_id).state is JobState.CANCELLED
    with pytest.raises(WorkLost):
        bench.store.extend_preparation(preparation, 60, shard=entries(1))
    assert bench.store.claim_preparation(60) is None


# -- endings


def test_cancelling_twice_is_cancelling_once(bench: Bench) -> None:
    job_id = ready_job(bench.engine, entries(4))
    first = bench.store.cancel(job_id)
    assert first.state is JobState.CANCELLED
    assert bench.store.cancel(job_id) == first


def test_the_first_ending_stays(bench: Bench) -> None:
    failed = ready_job(bench.engine, entries(4))
    bench.queue().claim(1, 60, fingerprints=[FINGERPRINT])
    assert bench.store.fail(failed, "first reason").state is JobState.FAILING
    assert bench.store.cancel(failed).state is JobState.FAILING
    job = bench.store.fail(failed, "second reason")
    assert (job.state, job.error) == (JobState.FAILING, "first reason")


def test_a_job_that_is_over_stays_as_it_is(bench: Bench) -> None:
    job_id = ready_job(bench.engine, entries(4))
    (lease,) = bench.queue().claim(1, 60, fingerprints=[FINGERPRINT])
    bench.queue().finish(lease, results_of(lease))
    done = bench.store.complete(job_id)
    assert done.state is JobState.COMPLETED
    assert bench.store.cancel(job_id) == bench.store.fail(job_id, "no") == bench.store.complete(job_id) == done


@pytest.mark.parametrize("state", [state for state in JobState if state is not JobState.COMPLETING])
def test_only_a_completing_job_completes(bench: Bench, state: JobState) -> None:
    job_id = ready_job(bench.engine, entries(4))
    force(bench, job_id, state)
    assert bench.store.complete(job_id).state is state
    assert bench.store.completing() == []


def test_a_job_that_does_not_add_up_fails_instead(bench: Bench) -> None:
    job_id = ready_job(bench.engine, entries(4))
    force(bench, job_id, JobState.COMPLETING)
    assert bench.store.completing() == [job_id]
    job = bench.store.complete(job_id)
    assert (job.state, job.error) == (JobState.FAILED, "0 verdicts for 4 images")
    assert job.finished_at is not None


@pytest.mark.parametrize("state", list(JobState))
@pytest.mark.parametrize("ending", ["cancel", "fail"])
def test_endings_from_every_state_follow_the_table(bench: Bench, state: JobState, ending: str) -> None:
    job_id = ready_job(bench.engine, entries(4))
    force(bench, job_id, state)
    job = bench.store.cancel(job_id) if ending == "cancel" else bench.store.fail(job_id, "why")
    wanted = {"cancel": JobState.CANCELLING, "fail": JobState.FAILING}[ending]
    if wanted in TRANSITIONS[state]:
        assert job.state in TRANSITIONS[wanted]  # nobody holds a shard: it is over at once
        assert job.error == ("why" if ending == "fail" else None)
    else:
        assert job.state is state


def test_preparation_can_only_end_once(bench: Bench) -> None:
    job_id = bench.store.submit(new_job())
    preparation = take(bench)
    bench.store.finish_preparation(preparation, ignored=0)
    with pytest.raises((WorkLost, IllegalTransition)):
        bench.store.finish_preparation(preparation, ignored=0)
    assert bench.store.claim_preparation(60, job_id) is None


def test_the_models_that_jobs_wait_for(bench: Bench) -> None:
    other = ModelRef(name="other", fingerprint="cd" * 32)
    ready_job(bench.engine, entries(1), options=JobOptions(priority=-1))
    waiting = ready_job(bench.engine, entries(1), model=other)
    bench.store.pause(ready_job(bench.engine, entries(1), model=other, options=JobOptions(priority=9)))
    for model in (other, ModelRef(name="third", fingerprint="ef" * 32)):
        bench.store.cancel(ready_job(bench.engine, entries(1), model=model))
        bench.store.submit(new_job(model=model))
    first, second = bench.store.models_in_demand()
    assert first == ModelDemand(model=other, priority=0, first_job=waiting, jobs=1)
    assert (second.model, second.priority) == (MODEL, -1)
    assert [each.model for each in bench.store.models_in_demand(waiting)] == [other]
