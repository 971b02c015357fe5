"""The dispatcher: sees every job to its end, whatever models and workers do meanwhile."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from support.builders import (
    Bench,
    check_accounts,
    check_completed,
    picture,
    shard_rows,
)
from support.dispatching import (
    InlineRunner,
    complete,
    hurried_queue,
    prepare,
    prepared_lease,
    running,
    wait_until,
)

from jobs import outcomes
from jobs.domain import ImageKey, Lease, Verdict
from jobs.domain.states import JobState
from jobs.errors import AccessDenied, ErrorCode
from jobs.ports import Outcome, OutcomeKind
from jobs.testing import MemoryStorage
from jobs.verdicts import VerdictFilter, VerdictStore

pytestmark = pytest.mark.usefixtures("hurried")


# -- a job from end to end


def test_a_job_is_prepared_screened_and_completed(bench: Bench) -> None:
    job_id = bench.submit(100)
    bench.storage.write(ImageKey("broken.png"), b"no image", content_type="image/png")
    complete(bench, job_id, 101)
    job = bench.store.get(job_id)
    scores = [bench.scorer.score_of(picture(i)) for i in range(100)]
    assert [match.verdict.score for match in VerdictStore(bench.engine).of_job(job_id)] == [*scores, None]
    assert (job.counts.scored, job.counts.failed) == (100, 1)
    assert job.counts.flagged == sum(score >= 0.5 for score in scores)
    assert job.started_at is not None
    assert job.created_at <= job.started_at <= (job.finished_at or 0)
    assert len(list(bench.maps.list_objects())) == job.counts.flagged


def test_the_same_corpus_again_is_another_job_with_the_same_verdicts(bench: Bench) -> None:
    first, second = bench.submit(30), bench.submit(30)
    for job_id in (first, second):
        complete(bench, job_id, 30)
    store = VerdictStore(bench.engine)
    here, there = ([replace(m.verdict, map_uri=None) for m in store.of_job(job)] for job in (first, second))
    assert here == there


def test_a_dispatcher_for_one_job_leaves_the_others_alone(bench: Bench) -> None:
    other, wanted = bench.submit(5), bench.submit(5)
    complete(bench, wanted, 5)
    assert bench.store.get(other).state is JobState.PREPARING


def test_a_dispatcher_for_all_works_until_it_is_stopped(bench: Bench) -> None:
    jobs = [bench.submit(20) for _ in range(3)]
    with running(bench.dispatcher(in_flight=3)):
        wait_until(lambda: all(bench.store.get(job).state is JobState.COMPLETED for job in jobs))
    for job_id in jobs:
        check_completed(bench.engine, job_id, 20)


def test_a_job_that_is_over_ends_its_dispatcher_at_once(bench: Bench) -> None:
    job_id = bench.submit(5)
    bench.store.cancel(job_id)
    bench.dispatcher(only_job=job_id).run()
    assert bench.store.get(job_id).state is JobState.CANCELLED


def test_no_more_shards_in_flight_than_allowed(bench: Bench) -> None:
    job_id = bench.submit(200)
    runner = InlineRunner(bench.screener().screen)
    complete(bench, job_id, 200, runner=runner, in_flight=3)
    assert runner.most == 3


@pytest.mark.parametrize("busy", [False, True])
def test_a_dispatcher_without_anything_to_do_waits(bench: Bench, busy: bool) -> None:
    """Every round ends with one wait of the poll time: there is no busy loop."""
    rounds: list[float] = []

    class Counted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            if threading.current_thread() is not threading.main_thread():
                return super().wait(timeout)  # slow work has its own rounds
            return count(timeout or 0.0)

    class Never(InlineRunner):
        def wait(self, timeout_s: float) -> list[Outcome]:
            if timeout_s:
                count(timeout_s)
            return []

    def count(timeout_s: float) -> bool:
        rounds.append(timeout_s)
        if len(rounds) == 5:
            dispatcher.stop()
        return False

    if busy:
        job_id = bench.submit(5)
        prepare(bench, job_id)
    dispatcher = bench.dispatcher(runner=Never(bench.screener().screen), poll_s=0.75)
    dispatcher._stop = Counted()
    real, claims = dispatcher._queue.claim, []

    def claim(limit: int, lease_s: float, **where: Any) -> list[Lease]:
        claims.append(limit)
        if len(claims) == 50:
            dispatcher.stop()  # a busy loop ends here, and is seen below
        return real(limit, lease_s, **where)

    dispatcher._queue.claim = claim  # type: ignore[method-assign]
    dispatcher.run()
    assert rounds[:5] == [0.75] * 5
    assert len(claims) <= 5


# -- the model


def test_a_model_that_is_away_for_a_while_costs_no_attempt(bench: Bench) -> None:
    job_id = bench.submit(20)
    bench.scorer.unavailable = 7
    complete(bench, job_id, 20)
    assert {row["attempt"] for row in shard_rows(bench.engine, job_id)} == {0}
    assert bench.store.get(job_id).counts.failed == 0


def test_pauses_while_the_model_is_away_grow_up_to_a_limit(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "_LONGEST_PAUSE_S", 5.0)
    recorder = bench.dispatcher()._recorder
    lease = prepared_lease(bench)
    pauses = []
    for _ in range(5):
        recorder.record(Outcome(lease=lease, kind=OutcomeKind.UNAVAILABLE, reason="away"))
        pauses.append(recorder._pause_s)
    assert pauses == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_heatmaps_that_may_not_be_kept_fail_the_job_with_the_reason(bench: Bench) -> None:
    class ReadOnly(MemoryStorage):
        def write(self, key: ImageKey, data: bytes, *, content_type: str) -> str:
            raise AccessDenied(self.container, "read-only")

    job_id = bench.submit(20)
    bench.maps = ReadOnly("memory://maps")
    bench.dispatcher(only_job=job_id).run()
    assert (bench.store.get(job_id).state, bench.store.get(job_id).error) == (
        JobState.FAILED,
        "memory://maps: read-only",
    )


# -- workers


def test_crashes_end_with_the_one_image_at_fault(bench: Bench) -> None:
    job_id = bench.submit(40)
    culprit = "000021.png"
    runner = InlineRunner(bench.screener().screen, lambda lease: culprit in {ref.key for ref in lease.entries})
    complete(bench, job_id, 40, runner=runner, queue=hurried_queue(bench), lease_s=1e6)
    (failed,) = VerdictStore(bench.engine).stream(VerdictFilter(job_id=job_id, failed=True))
    assert (failed.verdict.key, failed.verdict.error_code) == (culprit, ErrorCode.MODEL_ERROR)
    assert "the worker was killed" in str(failed.verdict.error_message)


def test_an_image_that_breaks_its_shard_is_set_aside_alone(bench: Bench) -> None:
    job_id = bench.submit(40)
    screen = bench.screener().screen

    def odd(lease: Lease) -> list[Verdict]:
        if 11 in range(lease.first_ordinal, lease.first_ordinal + len(lease.entries)):
            raise ZeroDivisionError("odd")
        return screen(lease)

    complete(bench, job_id, 40, screen=odd, queue=hurried_queue(bench), lease_s=1e6)
    (failed,) = VerdictStore(bench.engine).stream(VerdictFilter(job_id=job_id, failed=True))
    assert failed.verdict.ordinal == 11
    assert failed.verdict.error_message == "set aside after 3 attempts: ZeroDivisionError: odd"


def test_shards_of_a_worker_that_vanished_are_taken_over(bench: Bench) -> None:
    job_id = bench.submit(40)
    dead = prepared_lease(bench)
    assert bench.queue("dead").heartbeat([dead], 60) == []
    bench.clock.advance(1000)
    queue = hurried_queue(bench)
    queue._clock.advance(2000)  # type: ignore[attr-defined]
    complete(bench, job_id, 40, queue=queue, lease_s=1e6)
    rows = {row["id"]: row for row in shard_rows(bench.engine, job_id)}
    assert (rows[dead.shard_id]["attempt"], rows[dead.shard_id]["vanished"]) == (0, 1)
    assert rows[dead.shard_id]["error"] is None


@pytest.mark.parametrize("wrong", ["too few", "impossible"])
def test_a_result_that_cannot_be_recorded_fails_its_job_and_not_the_dispatcher(
    bench: Bench, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    doomed, fine = bench.submit(20), bench.submit(20)
    screen = bench.screener().screen

    def odd(lease: Lease) -> list[Verdict]:
        verdicts = screen(lease)
        if lease.job_id != doomed:
            return verdicts
        return verdicts[1:] if wrong == "too few" else [replace(v, tampered_areas=(7.0,)) for v in verdicts]

    with running(bench.dispatcher(odd)):
        wait_until(lambda: bench.store.get(doomed).state is JobState.FAILED)
        wait_until(lambda: bench.store.get(fine).state is JobState.COMPLETED)
    assert str(bench.store.get(doomed).error).startswith("a result cannot be recorded: ")
    check_accounts(bench.engine, doomed)
    check_completed(bench.engine, fine, 20)
    assert "cannot be recorded" in caplog.text
