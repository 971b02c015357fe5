"""Requests with tokens, confirmation, tags, problems of manifests: the same on every database."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.builders import CONTAINER, Bench, entries, job_row, new_job, ready_job

from jobs.domain import FailureThreshold, Filters, JobId, JobOptions, ManifestProblem, ModelRef, Preparing
from jobs.domain.states import JobState
from jobs.errors import JobNotFound, NotAwaitingConfirmation, TokenReused, WorkLost
from jobs.lifecycle.job_filters import JobFilter
from jobs.lifecycle.preparation_leases import Preparation

OPTIONS = JobOptions(
    name="wöchentlich 'x'",
    tags=("a", "b'c", "100%", "写"),
    priority=-3,
    confirm=True,
    rescore=True,
    failure_threshold=FailureThreshold(ratio=0.125, sample=3),
    webhook="https://example.org/%C3%A9",
    report="s3://reports/x",
    retry_of=JobId("other"),
    skip_bad_lines=True,
)


def take(bench: Bench) -> Preparation:
    preparation = bench.store.claim_preparation(60)
    assert preparation is not None
    return preparation


def test_what_was_asked_for_is_kept(bench: Bench) -> None:
    policy = {"max_fpr": 0.01, "threshold": 0.5, "resaved": True, "photographs": 121}
    filters = Filters(prefix="2026/", sample=10, sample_seed=-4)
    job = bench.store.get(bench.store.submit(new_job(options=OPTIONS, policy=policy, filters=filters)))
    assert (job.options, job.policy, job.filters) == (OPTIONS, policy, filters)
    plain = bench.store.get(bench.store.submit(new_job()))
    assert (plain.options, plain.policy, plain.found) == (JobOptions(), None, Preparing())


def test_a_token_gives_the_same_job_for_the_same_request(bench: Bench) -> None:
    first = bench.store.request(new_job(token="t é", options=OPTIONS))
    again = bench.store.request(new_job(token="t é", options=OPTIONS))
    assert (first.again, again.again) == (False, True)
    assert again.job_id == first.job_id
    assert bench.store.request(new_job(options=OPTIONS)).job_id != first.job_id


@pytest.mark.parametrize(
    "changed",
    [
        {"source": f"{CONTAINER}/other/"},
        {"filters": Filters(sample=1)},
        {"model": ModelRef(name="memory 1", fingerprint="cd" * 32)},
        {"threshold": 0.25},
        {"policy": {"max_fpr": 0.1}},
        {"options": dataclasses.replace(OPTIONS, priority=1)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_token_for_another_request_is_refused(bench: Bench, changed: dict[str, object]) -> None:
    first = bench.store.submit(new_job(token="t", options=OPTIONS))
    with pytest.raises(TokenReused, match=f"the token 't' belongs to job {first}"):
        bench.store.request(new_job(**{"token": "t", "options": OPTIONS, **changed}))
    assert len(bench.store.latest()) == 1


def test_a_time_given_as_a_duration_counts_as_it_was_written(bench: Bench) -> None:
    def asked(modified_after: float, words: str) -> JobId:
        filters = Filters(modified_after=modified_after)
        return bench.store.submit(new_job(token="t", filters=filters, relative={"modified_after": words}))

    first = asked(1000.0, "7d")
    assert asked(2000.0, "7d") == first
    assert bench.store.get(first).filters.modified_after == 1000.0
    with pytest.raises(TokenReused):
        asked(1000.0, "8d")


def test_requests_at_the_same_moment_make_one_job(bench: Bench) -> None:
    together = threading.Barrier(6)

    def ask(_: int) -> JobId:
        together.wait()
        return bench.store.submit(new_job(token="t"))

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(ask, range(6)))) == 1
    assert len(bench.store.latest()) == 1


def test_a_confirmed_job_goes_on_and_a_cancelled_one_does_not(bench: Bench) -> None:
    job_id = ready_job(bench.engine, entries(4), options=JobOptions(confirm=True))
    assert bench.store.get(job_id).state is JobState.AWAITING_CONFIRMATION
    assert bench.queue().claim(1, 60, fingerprints=[bench.store.get(job_id).model.fingerprint]) == []
    assert not bench.store.attended(job_id)
    assert bench.store.confirm(job_id).state is JobState.READY
    assert len(bench.queue().claim(9, 60, fingerprints=[bench.store.get(job_id).model.fingerprint])) == 1
    assert bench.store.confirm(job_id).state is JobState.RUNNING  # somebody else was quicker
    unasked = ready_job(bench.engine, entries(4))
    with pytest.raises(NotAwaitingConfirmation, match="is ready; only a job that is awaiting_confirmation"):
        bench.store.confirm(unasked)

    dropped = ready_job(bench.engine, entries(4), options=JobOptions(confirm=True))
    assert bench.store.cancel(dropped).state is JobState.CANCELLED
    with pytest.raises(NotAwaitingConfirmation):
        bench.store.confirm(dropped)
    waiting = bench.store.submit(new_job())
    with pytest.raises(NotAwaitingConfirmation, match="preparing"):
        bench.store.confirm(waiting)
    with pytest.raises(JobNotFound):
        bench.store.confirm("nobody")


def test_jobs_are_found_by_tag_state_and_name(bench: Bench) -> None:
    odd = bench.store.submit(new_job(options=OPTIONS))
    plain = bench.store.submit(new_job())
    named = bench.store.submit(new_job(options=JobOptions(name="100% a_b", tags=("a",))))
    bench.store.cancel(plain)

    def found(**parts: object) -> list[JobId]:
        return [job.id for job in bench.store.page(JobFilter(**parts)).items]  # type: ignore[arg-type]

    tagged = {word: set(found(tag=word)) for word in ("a", "b'c", "100%", "写", "b", "%", "\0")}
    assert tagged == {"a": {odd, named}, "b'c": {odd}, "100%": {odd}, "写": {odd}, "b": set(), "%": set(), "\0": set()}
    assert found(name="A_B") == [named]
    assert found(name="0%") == [named]
    assert found(state=JobState.CANCELLED) == [plain]
    assert found(tag="a", state=JobState.CANCELLED) == []
    assert len(bench.store.page(JobFilter(tag="a"), 1).items) == 1


def test_the_place_reached_is_kept_with_the_shards_and_the_next_preparer_gets_it(bench: Bench) -> None:
    job_id = bench.store.submit(new_job())
    first = take(bench)
    assert first.cursor is None
    found = Preparing(seen=9, bytes=30, unsized=1)
    bench.store.extend_preparation(first, 60, shard=entries(3), ignored=6, found=found, cursor={"key": "é'", "seen": 9})
    bench.store.extend_preparation(first, 60, ignored=90, found=Preparing(seen=99))
    bench.clock.advance(61)
    second = take(bench)
    assert second.cursor == {"key": "é'", "seen": 9}
    assert second.job.counts.total == 3
    with pytest.raises(WorkLost):
        bench.store.extend_preparation(first, 60, shard=entries(1), cursor={"key": "late"})
    bench.store.restart_preparation(second)
    assert bench.store.get(job_id).counts.total == 0
    bench.store.release_preparation(second)
    third = take(bench)
    assert (third.cursor, third.job.found) == (None, Preparing())
    bench.store.extend_preparation(third, 60, shard=entries(2), cursor={"key": "b"})
    bench.store.finish_preparation(third, ignored=1, found=Preparing(seen=3, bytes=7))
    assert job_row(bench.engine, job_id)["preparation_cursor"] is None
    assert bench.store.get(job_id).found == Preparing(seen=3, bytes=7)


def test_problems_are_kept_in_the_order_of_the_lines_and_come_anew_with_the_next_preparer(bench: Bench) -> None:
    job_id = bench.store.submit(new_job())
    first = take(bench)
    odd = ManifestProblem(line=2**40, reason="odd \0\ud800")
    bench.store.extend_preparation(first, 60, problems=[odd, ManifestProblem(line=3, reason="é")], cursor={"seen": 1})
    assert [problem.line for problem in bench.store.problems(job_id)] == [3, 2**40]
    bench.clock.advance(61)
    second = take(bench)
    assert bench.store.problems(job_id) == []
    bench.store.extend_preparation(second, 60, problems=[ManifestProblem(line=3, reason="é")])
    assert bench.store.problems(job_id) == [ManifestProblem(line=3, reason="é")]
    with pytest.raises(JobNotFound):
        bench.store.problems("nobody")
