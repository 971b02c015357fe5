"""Reviews on both databases: appended, taken back by a new row, one winner of two, and there when the job is gone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from support.builders import FINGERPRINT, Bench, entry, ready_job, scored, unreadable

from jobs.domain import Decision, JobId, NewReview, Review, ReviewState, VerdictRef
from jobs.errors import InvalidCursor, JobNotFound, NothingToUndo, ReviewConflict
from jobs.leased_work.held import HeldWork
from jobs.leased_work.leases import WorkLeases
from jobs.leased_work.task import WorkTask
from jobs.lifecycle.deleter import Deleter
from jobs.reviews import ReviewStore
from jobs.verdicts import FoundVerdict, VerdictFilter, VerdictStore

CONFIRMED, REJECTED, UNSURE = Decision.CONFIRMED, Decision.REJECTED, Decision.UNSURE


@pytest.fixture
def store(bench: Bench) -> ReviewStore:
    return ReviewStore(bench.engine, bench.clock)


@pytest.fixture
def job(bench: Bench) -> JobId:
    """Five images, the last of them without a score."""
    images = [entry(f"{i}.jpg", version_id=f"v{i}") for i in range(5)]
    job_id = ready_job(bench.engine, images, shard_size=5)
    (lease,) = bench.queue().claim(1, 60, fingerprints=[FINGERPRINT], job_id=job_id)
    bench.queue().finish(lease, [*(scored(i, images[i], 0.6 + i / 10) for i in range(4)), unreadable(4, images[4])])
    return job_id


def image(bench: Bench, job: JobId, ordinal: int) -> FoundVerdict:
    return VerdictStore(bench.engine).at(VerdictRef(job_id=job, ordinal=ordinal))


def by(decision: Decision, reviewer: str = "ann", **fields: object) -> NewReview:
    return NewReview(decision=decision, reviewer=reviewer, **fields)  # type: ignore[arg-type]


def holds(store: ReviewStore, job: JobId) -> dict[int, Decision | None]:
    return {review.ref.ordinal: review.decision for review in store.of_job(job)}


def test_an_image_stands_where_a_decision_put_it_or_nowhere() -> None:
    assert {state.value for state in ReviewState} == {"unreviewed", *(decision.value for decision in Decision)}


def test_a_review_carries_what_was_looked_at(bench: Bench, store: ReviewStore, job: JobId) -> None:
    found = image(bench, job, 1)
    review = store.add(found, by(CONFIRMED, note="the shadow 写", severity=4))
    assert (review.number, review.decision, review.reviewer) == (1, CONFIRMED, "ann")
    assert (review.note, review.severity, review.undoes) == ("the shadow 写", 4, None)
    verdict = found.verdict
    assert (review.container, review.key, review.version_id) == (verdict.container, verdict.key, verdict.version_id)
    assert (review.sha256, review.score, review.flagged) == (verdict.sha256, verdict.score, verdict.flagged)
    assert review.fingerprint == FINGERPRINT
    assert store.of(found.ref) == [review]
    assert store.of(VerdictRef(job_id=job, ordinal=0)) == []


def test_the_last_review_holds_and_none_is_lost(bench: Bench, store: ReviewStore, job: JobId) -> None:
    for ordinal, decisions in {0: [CONFIRMED, REJECTED], 2: [UNSURE], 3: [CONFIRMED], 4: [REJECTED]}.items():
        for decision in decisions:
            store.add(image(bench, job, ordinal), by(decision))
    store.undo(image(bench, job, 3), "bob")
    assert holds(store, job) == {0: REJECTED, 2: UNSURE, 4: REJECTED}
    assert store.counts(job) == {"confirmed": 0, "rejected": 2, "unsure": 1}
    assert [review.decision for review in store.of(VerdictRef(job_id=job, ordinal=0))] == [CONFIRMED, REJECTED]
    assert store.counts(JobId("nobody")) == {"confirmed": 0, "rejected": 0, "unsure": 0}


def test_pages_have_each_reviewed_image_once_while_people_review(bench: Bench, store: ReviewStore, job: JobId) -> None:
    for ordinal in (0, 1, 3):
        store.add(image(bench, job, ordinal), by(CONFIRMED))
    first = store.page(job, 2)
    store.add(image(bench, job, 0), by(REJECTED))
    store.add(image(bench, job, 4), by(UNSURE))
    second = store.page(job, 2, first.next_cursor)
    assert [review.ref.ordinal for review in (*first.items, *second.items)] == [0, 1, 3, 4]
    assert second.next_cursor is None
    with pytest.raises(InvalidCursor):
        store.page(JobId("another"), 2, first.next_cursor)


def test_verdicts_are_found_by_the_decision_that_holds(bench: Bench, store: ReviewStore, job: JobId) -> None:
    for ordinal, decisions in {0: [CONFIRMED, REJECTED], 2: [UNSURE], 3: [CONFIRMED]}.items():
        for decision in decisions:
            store.add(image(bench, job, ordinal), by(decision))
    store.undo(image(bench, job, 3), "bob")
    found = {
        state: [
            each.verdict.ordinal for each in VerdictStore(bench.engine).stream(VerdictFilter(job_id=job, review=state))
        ]
        for state in ReviewState
    }
    assert found == {
        ReviewState.UNREVIEWED: [1, 3, 4],
        ReviewState.CONFIRMED: [],
        ReviewState.REJECTED: [0],
        ReviewState.UNSURE: [2],
    }
    ranked = VerdictStore(bench.engine).stream(VerdictFilter(flagged=True, review=ReviewState.UNREVIEWED))
    assert [each.verdict.ordinal for each in ranked] == [3, 1]


def test_a_walk_over_what_is_unreviewed_loses_none_while_it_is_reviewed(
    bench: Bench, store: ReviewStore, job: JobId
) -> None:
    verdicts = VerdictStore(bench.engine)
    wanted = VerdictFilter(flagged=True, job_id=job, review=ReviewState.UNREVIEWED)
    seen: list[int] = []
    cursor: str | None = None
    while True:
        page = verdicts.page(wanted, 1, cursor)
        for found in page.items:
            seen.append(found.verdict.ordinal)
            store.add(found, by(CONFIRMED))
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [3, 2, 1, 0]
    assert list(verdicts.stream(wanted)) == []


def test_undoing_goes_back_one_decision_after_the_other(bench: Bench, store: ReviewStore, job: JobId) -> None:
    found = image(bench, job, 0)
    store.add(found, by(CONFIRMED, note="first"))
    store.add(found, by(REJECTED))
    undone = store.undo(found, "bob")
    assert (undone.number, undone.undoes, undone.decision, undone.note) == (3, 2, CONFIRMED, "first")
    assert undone.reviewer == "bob"
    again = store.undo(found, "bob")
    assert (again.undoes, again.decision, again.note) == (1, None, None)
    assert holds(store, job) == {}
    with pytest.raises(NothingToUndo):
        store.undo(found, "bob")
    store.add(found, by(UNSURE))
    assert store.undo(found, "bob").decision is None
    assert len(store.of(found.ref)) == 6


def test_who_decides_on_what_he_has_not_seen_is_told(bench: Bench, store: ReviewStore, job: JobId) -> None:
    found = image(bench, job, 0)
    store.add(found, by(CONFIRMED), expected=0)
    with pytest.raises(ReviewConflict) as conflict:
        store.add(found, by(REJECTED, "bob"), expected=0)
    assert conflict.value.number == 1
    with pytest.raises(ReviewConflict):
        store.undo(found, "bob", expected=0)
    store.add(found, by(REJECTED, "bob"), expected=1)
    assert holds(store, job) == {0: REJECTED}


@pytest.mark.parametrize("expected", [0, None])
def test_of_all_who_decide_at_once_each_is_told_or_counted(
    bench: Bench, store: ReviewStore, job: JobId, expected: int | None
) -> None:
    found, people = image(bench, job, 0), 4
    gate = Barrier(people)

    def decide(number: int) -> Review | ReviewConflict:
        gate.wait()
        try:
            return store.add(found, by(CONFIRMED, f"person {number}"), expected=expected)
        except ReviewConflict as conflict:
            return conflict

    with ThreadPoolExecutor(people) as pool:
        answers = list(pool.map(decide, range(people)))
    written = [answer for answer in answers if isinstance(answer, Review)]
    assert sorted(review.number for review in written) == list(range(1, len(written) + 1))
    assert store.of(found.ref) == sorted(written, key=lambda review: review.number)
    assert len(written) == (1 if expected == 0 else people)


def test_reviews_outlive_their_job(bench: Bench, store: ReviewStore, job: JobId) -> None:
    review = store.add(image(bench, job, 3), by(CONFIRMED))
    bench.store.complete(job)
    bench.store.begin_deletion(job)
    task = WorkTask(Deleter(bench.store), HeldWork(WorkLeases(bench.engine, bench.clock)))
    while task.step(threading.Event()):
        pass
    with pytest.raises(JobNotFound):
        bench.store.get(job)
    assert list(store.of_job(job)) == [review]
    assert store.of(review.ref) == [review]


def test_a_bulk_passes_over_what_was_decided_meanwhile(bench: Bench, store: ReviewStore, job: JobId) -> None:
    seen = [image(bench, job, ordinal) for ordinal in range(3)]
    store.add(seen[1], by(REJECTED))
    assert store.add_of_bulk(seen, by(CONFIRMED), "b1") == 2
    assert store.add_of_bulk(seen[1:2], by(CONFIRMED), "b1") == 0
    assert [ref.ordinal for ref in store.of_bulk("b1")] == [0, 2]
    assert list(store.of_bulk("b2")) == []
    assert holds(store, job) == {0: CONFIRMED, 1: REJECTED, 2: CONFIRMED}
    assert {each.bulk for each in store.of(seen[0].ref)} == {"b1"}


def test_bulks_and_single_reviews_at_once_keep_every_word(bench: Bench, store: ReviewStore, job: JobId) -> None:
    """Numbers collide; nothing is lost, nothing written over, and each verdict says what its last review says."""
    seen = [image(bench, job, ordinal) for ordinal in range(5)]
    barrier = Barrier(4)

    def bulk(name: str) -> int:
        barrier.wait()
        return store.add_of_bulk(seen, by(CONFIRMED), name)

    def single() -> int:
        barrier.wait()
        return sum(1 for each in reversed(seen) if store.add(each, by(REJECTED)))

    with ThreadPoolExecutor(4) as pool:
        bulks = [pool.submit(bulk, name) for name in ("b1", "b2")]
        singles = [pool.submit(single) for _ in range(2)]
        written = sum(each.result() for each in bulks)
        assert [each.result() for each in singles] == [5, 5]
    said = [store.of(each.ref) for each in seen]
    assert sum(map(len, said)) == 10 + written
    for found, reviews in zip(seen, said, strict=True):
        assert [each.number for each in reviews] == list(range(1, len(reviews) + 1))
        assert image(bench, job, found.verdict.ordinal).review == reviews[-1].decision


def test_a_bulk_is_taken_back_where_it_holds_again(bench: Bench, store: ReviewStore, job: JobId) -> None:
    store.add_of_bulk([image(bench, job, 0)], by(CONFIRMED), "b1")
    store.add_of_bulk([image(bench, job, 0)], by(UNSURE), "b2")
    with pytest.raises(NothingToUndo):
        store.undo(image(bench, job, 0), "ann", bulk="b1")
    store.undo(image(bench, job, 0), "ann", bulk="b2")
    assert holds(store, job) == {0: CONFIRMED}
    store.undo(image(bench, job, 0), "ann", bulk="b1")
    assert holds(store, job) == {}
