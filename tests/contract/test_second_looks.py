"""Second looks on both databases: who is asked, what is counted, and what bulks and going back do to them."""

from __future__ import annotations

import pytest
from sqlalchemy import delete
from support.builders import FINGERPRINT, Bench, entry, ready_job, scored

from jobs.domain import Decision, JobId, NewReview, VerdictRef
from jobs.domain.access import ProjectName
from jobs.domain.reviews import SecondLook
from jobs.reviews import ReviewStore, SecondLooks
from jobs.reviews.errors import NoSecondLook
from jobs.reviews.second_look import is_drawn
from jobs.sql.database import writing
from jobs.sql.rows import hash_key
from jobs.sql.tables import jobs
from jobs.verdicts import FoundVerdict, VerdictFilter, VerdictStore

C, R, U = Decision.CONFIRMED, Decision.REJECTED, Decision.UNSURE
IMAGES = 40


@pytest.fixture
def reviews(bench: Bench) -> ReviewStore:
    return ReviewStore(bench.engine, bench.clock)


@pytest.fixture
def looks(bench: Bench) -> SecondLooks:
    return SecondLooks(bench.engine)


@pytest.fixture
def job(bench: Bench) -> JobId:
    images = [entry(f"{i:02d}.jpg") for i in range(IMAGES)]
    job_id = ready_job(bench.engine, images, shard_size=IMAGES)
    (lease,) = bench.queue().claim(1, 60, fingerprints=[FINGERPRINT], job_id=job_id)
    bench.queue().finish(lease, [scored(i, images[i], 0.6) for i in range(IMAGES)])
    return job_id


def image(bench: Bench, job: JobId, ordinal: int) -> FoundVerdict:
    return VerdictStore(bench.engine).at(VerdictRef(job_id=job, ordinal=ordinal))


def by(decision: Decision, reviewer: str, *, blind: bool = False) -> NewReview:
    return NewReview(decision=decision, reviewer=reviewer, blind=blind)


def queue(bench: Bench, job: JobId, state: SecondLook, not_by: str | None = None) -> list[int]:
    wanted = VerdictFilter(job_id=job, second_look=state, not_by=not_by)
    return [found.verdict.ordinal for found in VerdictStore(bench.engine).stream(wanted)]


def test_another_person_is_asked_once(bench: Bench, reviews: ReviewStore, looks: SecondLooks, job: JobId) -> None:
    looks.set_share(job, 1.0)
    assert looks.share(job) == 1
    for ordinal, decision in ((0, C), (1, R), (2, C)):
        reviews.add(image(bench, job, ordinal), by(decision, "ann"))
    reviews.add(image(bench, job, 3), by(C, "bob"))
    assert queue(bench, job, SecondLook.WANTED) == [0, 1, 2, 3]
    assert queue(bench, job, SecondLook.WANTED, "bob") == [0, 1, 2]
    for ordinal, name in ((0, "ann"), (5, "bob")):  # his own, and one on which nobody has decided
        with pytest.raises(NoSecondLook):
            reviews.add(image(bench, job, ordinal), by(C, name, blind=True))
    reviews.add(image(bench, job, 0), by(C, "bob", blind=True))
    reviews.add(image(bench, job, 1), by(C, "bob", blind=True))
    with pytest.raises(NoSecondLook):
        reviews.add(image(bench, job, 1), by(C, "cem", blind=True))
    assert looks.counts(job) == {"wanted": 2, "agreed": 1, "conflict": 1, "settled": 0}
    assert queue(bench, job, SecondLook.CONFLICT) == [1]
    assert looks.pairs(job) == {(C, C): 1, (R, C): 1}
    said = reviews.of(VerdictRef(job_id=job, ordinal=1))
    assert [(each.decision, each.blind) for each in said] == [(R, False), (C, True)]
    reviews.add(image(bench, job, 1), by(R, "cem"))
    assert looks.counts(job) == {"wanted": 2, "agreed": 1, "conflict": 0, "settled": 1}
    assert looks.pairs(job) == {(C, C): 1, (R, C): 1}


def test_what_is_disputed_is_known_without_the_job(
    bench: Bench, reviews: ReviewStore, looks: SecondLooks, job: JobId
) -> None:
    assert reviews.disputed() == set()
    for ordinal, words in enumerate(([C, R], [C, C], [C, R, U], [C, R, U, None], [C], [U, R])):
        found = image(bench, job, ordinal)
        for turn, word in enumerate(words):
            if word is None:
                reviews.undo(found, "cem")
            else:
                reviews.add(found, by(word, ("ann", "bob", "cem")[turn], blind=turn == 1))
    disputed = {VerdictRef(job_id=job, ordinal=ordinal) for ordinal in (0, 3, 5)}
    assert reviews.disputed() == disputed
    assert reviews.disputed(ProjectName("lab")) == set()
    with writing(bench.engine) as connection:
        connection.execute(delete(jobs).where(jobs.c.id == job))
    assert reviews.disputed() == disputed


def test_going_back_goes_back_here_too(bench: Bench, reviews: ReviewStore, looks: SecondLooks, job: JobId) -> None:
    looks.set_share(job, 1.0)
    found = image(bench, job, 0)
    reviews.add(found, by(C, "ann"))
    reviews.add(found, by(R, "bob", blind=True))
    reviews.undo(found, "bob")
    assert queue(bench, job, SecondLook.WANTED) == [0]
    assert image(bench, job, 0).review is C
    reviews.add(found, by(C, "bob", blind=True))
    assert looks.counts(job)["agreed"] == 1
    reviews.undo(found, "bob")
    reviews.undo(found, "ann")
    assert looks.counts(job) == {"wanted": 0, "agreed": 0, "conflict": 0, "settled": 0}


def test_a_share_counts_for_what_is_reviewed_before_and_after(
    bench: Bench, reviews: ReviewStore, looks: SecondLooks, job: JobId
) -> None:
    drawn = [number for number in range(IMAGES) if is_drawn(hash_key(f"{number:02d}.jpg"), 0.5)]
    assert 0 < len(drawn) < IMAGES
    for ordinal in range(20):
        reviews.add(image(bench, job, ordinal), by(C, "ann"))
    assert queue(bench, job, SecondLook.WANTED) == []
    looks.set_share(job, 0.5)
    assert queue(bench, job, SecondLook.WANTED) == [each for each in drawn if each < 20]
    reviews.add_of_bulk([image(bench, job, ordinal) for ordinal in range(20, IMAGES)], by(R, "ann"), "b1")
    assert queue(bench, job, SecondLook.WANTED) == drawn
    reviews.add(image(bench, job, drawn[0]), by(R, "bob", blind=True))
    looks.set_share(job, 0.0)
    assert queue(bench, job, SecondLook.WANTED) == []
    assert queue(bench, job, SecondLook.CONFLICT) == drawn[:1]


def test_a_bulk_settles(bench: Bench, reviews: ReviewStore, looks: SecondLooks, job: JobId) -> None:
    looks.set_share(job, 1.0)
    for ordinal in (0, 1):
        reviews.add(image(bench, job, ordinal), by(C, "ann"))
    reviews.add(image(bench, job, 0), by(R, "bob", blind=True))
    reviews.add_of_bulk([image(bench, job, ordinal) for ordinal in (0, 1, 2)], by(C, "cem"), "b1")
    assert looks.counts(job) == {"wanted": 2, "agreed": 0, "conflict": 0, "settled": 1}
