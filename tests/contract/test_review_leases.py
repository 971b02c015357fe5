"""Review leases on both databases: one holder each, prolonged by asking again, run out, given back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import delete, func, select
from support.builders import Bench, entries, ready_job

from jobs.domain import JobId
from jobs.reviews import ReviewLeases
from jobs.sql.database import reading, writing
from jobs.sql.review_tables import review_leases
from jobs.sql.tables import jobs

LEASE_S = 300


@pytest.fixture
def leases(bench: Bench) -> ReviewLeases:
    return ReviewLeases(bench.engine, LEASE_S, bench.clock)


@pytest.fixture
def job(bench: Bench) -> JobId:
    return ready_job(bench.engine, entries(8))


def take(leases: ReviewLeases, job: JobId, who: str, *ordinals: int, no_others: bool = False) -> set[int]:
    return set(leases.take(job, ordinals, f"desk {who}", who, no_others=no_others))


def holders(leases: ReviewLeases, job: JobId) -> dict[int, str]:
    return {ordinal: lease.name for ordinal, lease in leases.of(job).items()}


def test_an_image_is_one_persons(bench: Bench, leases: ReviewLeases, job: JobId) -> None:
    assert take(leases, job, "ann", 0, 1, 2) == {0, 1, 2}
    assert take(leases, job, "bob", 2, 3, 1) == {3}
    assert holders(leases, job) == {0: "ann", 1: "ann", 2: "ann", 3: "bob"}
    lease = leases.of(job, [3, 4])[3]
    assert (lease.holder, str(lease.ref)) == ("desk bob", f"{job}/3")
    other = ready_job(bench.engine, entries(8))
    assert take(leases, other, "bob", 0) == {0}
    assert holders(leases, job)[0] == "ann"
    assert take(leases, job, "bob") == set()


def test_asking_again_keeps_and_silence_gives_to_others(bench: Bench, leases: ReviewLeases, job: JobId) -> None:
    take(leases, job, "ann", 0, 1)
    bench.clock.advance(LEASE_S - 10)
    assert take(leases, job, "ann", 0) == {0}
    bench.clock.advance(20)
    assert holders(leases, job) == {0: "ann"}
    assert take(leases, job, "bob", 0, 1) == {1}
    bench.clock.advance(LEASE_S - 19)
    assert holders(leases, job) == {1: "bob"}
    assert take(leases, job, "bob", 0) == {0}
    bench.clock.advance(LEASE_S + 1)
    take(leases, job, "ann", 5)
    with reading(bench.engine) as connection:  # what ran out is not kept for ever
        assert connection.scalar(select(func.count()).select_from(review_leases)) == 1


def test_what_is_given_back_is_free(leases: ReviewLeases, job: JobId) -> None:
    take(leases, job, "ann", 0, 1, 2)
    take(leases, job, "bob", 3)
    assert leases.release(job, "desk ann", [0, 3, 7]) == 1
    assert holders(leases, job) == {1: "ann", 2: "ann", 3: "bob"}
    assert take(leases, job, "ann", 2, 4, no_others=True) == {2, 4}
    assert holders(leases, job) == {2: "ann", 3: "bob", 4: "ann"}
    assert leases.release(job, "desk ann") == 2
    assert leases.release(job, "desk ann") == 0
    assert holders(leases, job) == {3: "bob"}


def test_who_leaves_gives_back_only_what_he_knew_of(bench: Bench, leases: ReviewLeases, job: JobId) -> None:
    assert leases.until(job, "desk ann") is None
    take(leases, job, "ann", 0, 1, 2)
    knew = leases.until(job, "desk ann")
    bench.clock.advance(1)
    take(leases, job, "ann", 0, 1)  # another page of hers
    assert leases.release(job, "desk ann", until=knew) == 1
    assert holders(leases, job) == {0: "ann", 1: "ann"}
    assert leases.release(job, "desk ann", until=leases.until(job, "desk ann")) == 2


def test_of_all_who_ask_at_once_each_has_others(leases: ReviewLeases, job: JobId) -> None:
    people, images = 4, range(8)
    for order in (list(images), list(reversed(images))):
        gate = Barrier(people)

        def person(number: int, order: list[int] = order, gate: Barrier = gate) -> set[int]:
            gate.wait()
            return take(leases, job, f"person {number}", *order[number:], *order[:number])

        with ThreadPoolExecutor(people) as pool:
            taken = list(pool.map(person, range(people)))
        assert sorted(ordinal for each in taken for ordinal in each) == list(images)
        for number in range(people):
            leases.release(job, f"desk person {number}")


def test_people_who_come_and_go_never_share_nor_wait_for_ever(leases: ReviewLeases, job: JobId) -> None:
    """Each takes the next two and leaves the rest, over and over, each in an order of his own."""
    seen: list[str] = []

    def person(name: str, first: int) -> None:
        for turn in range(30):
            wanted = [(first + turn + step) % 8 for step in (5, 0, 3)]
            mine = take(leases, job, name, *wanted, no_others=True)
            held = leases.of(job, wanted)
            if any(held[ordinal].name != name for ordinal in mine if ordinal in held):
                seen.append(f"{name} lost one of {mine}")

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(person, name, first) for first, name in enumerate(("ann", "bob", "cem"))]:
            done.result(timeout=60)
    assert seen == []


def test_leases_go_with_their_job(bench: Bench, leases: ReviewLeases, job: JobId) -> None:
    take(leases, job, "ann", 0)
    with writing(bench.engine) as connection:
        connection.execute(delete(jobs).where(jobs.c.id == job))
    assert leases.of(job) == {}
