"""Drawings on both databases: kept with their review, once, for good, and back when the review is taken back."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import func, select
from support.builders import FINGERPRINT, Bench, entry, ready_job, scored
from support.drawings import box_mask, png_of, two_strokes

from jobs.domain import Decision, JobId, NewReview, VerdictRef
from jobs.domain.drawings import Drawing, DrawingKind
from jobs.leased_work.held import HeldWork
from jobs.leased_work.leases import WorkLeases
from jobs.leased_work.task import WorkTask
from jobs.lifecycle.deleter import Deleter
from jobs.reviews import DrawingStore, ReviewStore
from jobs.reviews.drawing_png import read_drawing
from jobs.reviews.errors import DrawingNotFound
from jobs.sql.database import reading
from jobs.sql.review_tables import drawings
from jobs.verdicts import FoundVerdict, VerdictStore

MASK = read_drawing(DrawingKind.MASK, png_of(box_mask(64, 48)), (640, 480))
SCRIBBLES = read_drawing(DrawingKind.SCRIBBLES, png_of(two_strokes(64, 48)), (640, 480))


@pytest.fixture
def reviews(bench: Bench) -> ReviewStore:
    return ReviewStore(bench.engine, bench.clock)


@pytest.fixture
def store(bench: Bench) -> DrawingStore:
    return DrawingStore(bench.engine)


@pytest.fixture
def job(bench: Bench) -> JobId:
    images = [entry(f"{i}.jpg") for i in range(3)]
    job_id = ready_job(bench.engine, images)
    (lease,) = bench.queue().claim(1, 60, fingerprints=[FINGERPRINT], job_id=job_id)
    bench.queue().finish(lease, [scored(i, images[i], 0.9) for i in range(3)])
    return job_id


def image(bench: Bench, job: JobId, ordinal: int = 0) -> FoundVerdict:
    return VerdictStore(bench.engine).at(VerdictRef(job_id=job, ordinal=ordinal))


def drawn(drawing: Drawing | None, reviewer: str = "ann") -> NewReview:
    return NewReview(decision=Decision.CONFIRMED, reviewer=reviewer, drawing=drawing)


def kept(bench: Bench) -> int:
    with reading(bench.engine) as connection:
        return int(connection.scalar(select(func.count()).select_from(drawings)) or 0)


def test_a_review_names_its_drawing(bench: Bench, reviews: ReviewStore, store: DrawingStore, job: JobId) -> None:
    found = image(bench, job)
    assert reviews.add(found, drawn(MASK)).drawing == MASK.name
    assert store.of(found.ref) == MASK
    assert store.get(MASK.name) == MASK
    assert [each.drawing for each in reviews.of(found.ref)] == [MASK.name]
    with pytest.raises(DrawingNotFound, match="has no drawing that holds"):
        store.of(VerdictRef(job_id=job, ordinal=1))


def test_that_of_the_review_that_holds_is_found_others_by_their_hash(
    bench: Bench, reviews: ReviewStore, store: DrawingStore, job: JobId
) -> None:
    found = image(bench, job)
    reviews.add(found, drawn(MASK))
    reviews.add(found, drawn(SCRIBBLES, "bob"))
    assert store.of(found.ref) == SCRIBBLES
    assert store.of(found.ref, MASK.sha256) == MASK
    reviews.add(found, NewReview(decision=Decision.REJECTED, reviewer="bob"))
    for sha256 in (None, "0" * 64):
        with pytest.raises(DrawingNotFound):
            store.of(found.ref, sha256)
    with pytest.raises(DrawingNotFound):
        store.of(VerdictRef(job_id=job, ordinal=1), MASK.sha256)


def test_what_is_taken_back_brings_the_drawing_before_it_back(
    bench: Bench, reviews: ReviewStore, store: DrawingStore, job: JobId
) -> None:
    found = image(bench, job)
    reviews.add(found, drawn(MASK))
    reviews.add(found, NewReview(decision=Decision.REJECTED, reviewer="bob"))
    assert reviews.undo(found, "bob").drawing == MASK.name
    assert store.of(found.ref) == MASK
    assert reviews.undo(found, "bob").drawing is None
    with pytest.raises(DrawingNotFound):
        store.of(found.ref)


def test_who_agrees_later_need_not_draw_it_again(
    bench: Bench, reviews: ReviewStore, store: DrawingStore, job: JobId
) -> None:
    found = image(bench, job)
    reviews.add(found, drawn(MASK))
    reviews.add(found, NewReview(decision=Decision.CONFIRMED, reviewer="bob", blind=True))
    assert store.of(found.ref) == MASK
    reviews.add(found, NewReview(decision=Decision.REJECTED, reviewer="eve"))
    assert store.holding(found.ref) is None
    settled = reviews.add(found, NewReview(decision=Decision.CONFIRMED, reviewer="carl"))
    assert settled.drawing is None, "he drew nothing"
    holding = store.holding(found.ref)
    assert holding is not None
    assert (holding.reviewer, holding.drawing) == ("ann", MASK.name)
    reviews.undo(found, "carl")
    reviews.undo(found, "eve")
    reviews.undo(found, "bob")
    reviews.undo(found, "ann")
    assert store.holding(found.ref) is None


def test_the_same_is_kept_once(bench: Bench, reviews: ReviewStore, store: DrawingStore, job: JobId) -> None:
    for ordinal in range(3):
        reviews.add(image(bench, job, ordinal), drawn(MASK))
    assert kept(bench) == 1
    as_scribbles = read_drawing(DrawingKind.SCRIBBLES, MASK.png, (640, 480))
    reviews.add(image(bench, job), drawn(as_scribbles))
    assert kept(bench) == 2, "strokes with nothing authentic among them are no mask"
    assert store.of(VerdictRef(job_id=job, ordinal=0)).kind is DrawingKind.SCRIBBLES
    assert store.of(VerdictRef(job_id=job, ordinal=1)).kind is DrawingKind.MASK


def test_of_many_who_draw_the_same_at_once_nobody_fails(bench: Bench, reviews: ReviewStore, job: JobId) -> None:
    people = 4
    gate = Barrier(people)

    def draw(number: int) -> int:
        gate.wait()
        return reviews.add(image(bench, job, number % 3), drawn(SCRIBBLES, f"person {number}")).number

    with ThreadPoolExecutor(people) as pool:
        assert sorted(pool.map(draw, range(people))) == [1, 1, 1, 2]
    assert kept(bench) == 1


def test_a_drawing_outlives_its_job(bench: Bench, reviews: ReviewStore, store: DrawingStore, job: JobId) -> None:
    reviews.add(image(bench, job), drawn(MASK))
    bench.store.complete(job)
    bench.store.begin_deletion(job)
    task = WorkTask(Deleter(bench.store), HeldWork(WorkLeases(bench.engine, bench.clock)))
    while task.step(threading.Event()):
        pass
    (review,) = reviews.of_job(job)
    assert review.drawing is not None
    assert store.get(review.drawing) == MASK
