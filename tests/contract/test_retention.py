"""Clearing out old jobs on both databases: verdicts go; jobs, reviews, drawings, samples and lineage lead somewhere."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import func, select
from support.builders import Bench, new_job
from support.lived_in import MASK, LivedIn, contents, live_in
from support.queueing import claim

from jobs.domain import JobId, JobOptions, VerdictRef
from jobs.domain.access import ProjectName
from jobs.domain.registry import Alias
from jobs.errors import RequestRefused, VerdictNotFound, VerdictsRemoved
from jobs.lifecycle import retention
from jobs.lifecycle.clearing_task import clearing_task
from jobs.lifecycle.deletions import Deleted
from jobs.lifecycle.retention import Retention
from jobs.lifecycle.retries import retry_request
from jobs.operations.figures import figures
from jobs.registry.model_registry import ModelRegistry
from jobs.reviews import AuditStore, DrawingStore, ReviewStore
from jobs.sql.database import reading
from jobs.sql.tables import shards, verdicts
from jobs.verdicts import VerdictStore

DAY_S = 86_400.0
#: they hold what people did, or what they would ask for in a year
KEPT = ("reviews", "drawings", "model_versions", "alias_moves", "audit_log", "audits", "audit_images", "api_keys")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_VERDICTS", 10)
    monkeypatch.setattr(retention, "_SHARDS", 4)


@pytest.fixture
def lived(bench: Bench) -> LivedIn:
    found = live_in(bench)
    bench.clock.advance(30 * DAY_S)
    return found


@pytest.fixture
def old(bench: Bench) -> Retention:
    return Retention(bench.engine, bench.clock)


def left(bench: Bench, job_id: JobId) -> tuple[set[int], int]:
    with reading(bench.engine) as connection:
        ordinals = connection.execute(select(verdicts.c.ordinal).where(verdicts.c.job_id == job_id)).scalars().all()
        count = connection.execute(select(func.count()).where(shards.c.job_id == job_id)).scalar_one()
    return set(ordinals), count


def sampled(bench: Bench, job_id: JobId) -> set[int]:
    return {int(row.split(", ")[3]) for row in contents(bench.engine)["audit_images"] if row.startswith(f"('{job_id}'")}


def test_a_month_goes_and_what_people_did_leads_somewhere(bench: Bench, lived: LivedIn, old: Retention) -> None:
    before, counted = contents(bench.engine), figures(bench.engine, bench.clock)
    audit = AuditStore(bench.engine, bench.clock)
    assert old.old(31) == []
    assert old.old(29) == [lived.done]
    expected = old.removable(lived.done)
    steps = list(old.clear_out(lived.done))
    assert Deleted(verdicts=sum(s.verdicts for s in steps), shards=sum(s.shards for s in steps)) == expected
    kept = {20, 21} | sampled(bench, lived.done)
    assert left(bench, lived.done) == (kept, 0)
    assert len(kept) < 24

    after = contents(bench.engine)
    assert {name: after[name] for name in KEPT} == {name: before[name] for name in KEPT}
    # each review leads to its image, its drawing and its project; the model to what it was made of
    reviews = list(ReviewStore(bench.engine).standing(ProjectName("default")))
    assert [review.ref.ordinal for review in reviews] == [20, 21]
    for review in reviews:
        assert VerdictStore(bench.engine).at(review.ref).ref == review.ref
    assert DrawingStore(bench.engine).of(reviews[0].ref) == MASK
    registry = ModelRegistry(bench.engine)
    assert registry.get(registry.champion()).snapshot == "5" * 64  # type: ignore[arg-type]
    assert [move.alias for move in registry.history(Alias.CHAMPION)] == [Alias.CHAMPION]
    assert audit.get(lived.done).size == 8
    # the job is there with what it counted, and so is what was ever recorded
    job = bench.store.get(lived.done)
    assert (job.counts.scored, job.counts.flagged) == (24, 12)
    assert job.verdicts_removed_at is not None
    assert figures(bench.engine, bench.clock).recorded == counted.recorded
    with pytest.raises(VerdictNotFound):
        VerdictStore(bench.engine).at(VerdictRef(job_id=lived.done, ordinal=min(set(range(24)) - kept)))
    assert old.old(29) == []


def test_other_jobs_are_not_touched(bench: Bench, lived: LivedIn, old: Retention) -> None:
    before = left(bench, lived.running)
    list(old.clear_out(lived.done))
    assert left(bench, lived.running) == before
    for job_id in (lived.running, lived.waiting):
        with pytest.raises(RequestRefused, match="it is not over"):
            list(old.clear_out(job_id))
        assert bench.store.get(job_id).verdicts_removed_at is None


@pytest.mark.parametrize("survived", [1, 3, 4])
def test_one_that_is_killed_is_gone_on_with(bench: Bench, lived: LivedIn, old: Retention, survived: int) -> None:
    killed = old.clear_out(lived.done)
    for _ in range(survived):
        next(killed)
    killed.close()
    since = bench.store.get(lived.done).verdicts_removed_at
    assert old.old(29) == [lived.done]
    bench.clock.advance(DAY_S)
    list(old.clear_out(lived.done))
    assert left(bench, lived.done) == ({20, 21} | sampled(bench, lived.done), 0)
    assert bench.store.get(lived.done).verdicts_removed_at == since


def test_what_needs_all_verdicts_is_refused_afterwards(bench: Bench, lived: LivedIn, old: Retention) -> None:
    list(old.clear_out(lived.done))
    job = bench.store.get(lived.done)
    with pytest.raises(VerdictsRemoved, match="its verdicts were cleared out"):
        retry_request(job)
    with pytest.raises(VerdictsRemoved):
        bench.store.begin_reflagging(job.id, 0.7)
    with pytest.raises(VerdictsRemoved):
        AuditStore(bench.engine, bench.clock).draw(job, size=4, seed=1, drawn_by="ann")
    bench.store.begin_deletion(job.id)
    with pytest.raises(RequestRefused, match="removed as a whole"):
        list(old.clear_out(job.id))


def test_a_job_whose_images_another_one_is_about_to_take_stays(bench: Bench, lived: LivedIn, old: Retention) -> None:
    retry = bench.store.submit(retry_request(bench.store.get(lived.done)))
    with pytest.raises(RequestRefused, match=f"job {retry} is about to take"):
        list(old.clear_out(lived.done))
    assert len(left(bench, lived.done)[0]) == 24
    reported = bench.store.submit(new_job(options=JobOptions(report="s3://reports/")))
    bench.store.cancel(reported)
    assert claim(bench.queue(), job_id=reported) == []
    with pytest.raises(RequestRefused, match="completion report is still to be written"):
        list(old.clear_out(reported))


def test_a_dispatcher_clears_out_by_itself_once_an_hour(bench: Bench, lived: LivedIn, old: Retention) -> None:
    now = [0.0]
    task = clearing_task(old, 31, lambda: now[0])
    stop = threading.Event()
    assert not task.step(stop), "nothing is old enough"
    expected = old.old(20)
    bench.clock.advance(2 * DAY_S)
    assert not task.step(stop), "it was looked a moment ago"
    now[0] += 3601
    assert task.step(stop)
    assert old.old(31) == []
    assert expected
    assert all(left(bench, job_id)[1] == 0 for job_id in expected)
    now[0] += 3601
    assert not task.step(stop)


def test_told_to_end_it_leaves_the_rest_for_the_next_look(bench: Bench, lived: LivedIn, old: Retention) -> None:
    now, stop = [0.0], threading.Event()
    task = clearing_task(old, 20, lambda: now[0])
    stop.set()
    task.step(stop)
    before = old.old(20)
    assert before, "nothing was begun"
    stop.clear()
    now[0] += 3601
    task.step(stop)
    assert old.old(20) == []
