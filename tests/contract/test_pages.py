"""Lists in pages, walked while rows come and go: none twice, none lost, and nobody's cursor in another list."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Engine, delete
from support.builders import CONTAINER, FINGERPRINT, MODEL, Bench, entry, new_job, ready_job, scored, unreadable

from jobs.domain import ImageRef, JobId, JobOptions, ModelRef, Verdict
from jobs.domain.pages import decode_cursor, encode_cursor
from jobs.errors import ErrorCode, InvalidCursor, InvalidFilter
from jobs.lifecycle.job_filters import JobFilter
from jobs.shards.recording import insert_verdicts
from jobs.sql.database import writing
from jobs.sql.rows import database_clock
from jobs.sql.tables import jobs, verdicts
from jobs.verdicts import FoundVerdict, VerdictFilter, VerdictStore

OTHER = ModelRef(name="other 2", fingerprint="cd" * 32)


@pytest.fixture
def store(engine: Engine) -> VerdictStore:
    return VerdictStore(engine)


def record(engine: Engine, job_id: JobId, results: list[Verdict]) -> None:
    """Verdicts out of order, as shards come back."""
    with writing(engine) as connection:
        insert_verdicts(connection, job_id, results, database_clock)


def job_of(bench: Bench, results: list[Verdict], **fields: object) -> JobId:
    job_id = bench.store.submit(new_job(**fields))
    record(bench.engine, job_id, results)
    return job_id


def verdict(ordinal: int, score: float, **fields: object) -> Verdict:
    made = scored(ordinal, entry(f"{ordinal:05d}.jpg"), score)
    return replace(made, **fields)  # type: ignore[arg-type]


def refs(found: list[FoundVerdict]) -> list[str]:
    return [str(each.ref) for each in found]


def walk(
    store: VerdictStore, wanted: VerdictFilter, limit: int, between: Callable[[], None] = lambda: None
) -> list[FoundVerdict]:
    """All pages, one after the other."""
    seen: list[FoundVerdict] = []
    cursor = None
    while True:
        page = store.page(wanted, limit, cursor)
        assert len(page.items) <= limit
        seen += page.items
        if page.next_cursor is None:
            return seen
        assert len(page.items) == limit
        cursor = page.next_cursor
        between()


@pytest.mark.parametrize("limit", [1, 3, 7, 40, 100])
@pytest.mark.parametrize("of_job", [True, False])
def test_pages_are_the_list_cut(bench: Bench, store: VerdictStore, limit: int, of_job: bool) -> None:
    scores = [random.Random(i).choice([0.5, 0.75, 0.1 + 0.2, 0.9, 0.4]) for i in range(20)]
    job_ids = [job_of(bench, [verdict(i, score) for i, score in enumerate(scores)]) for _ in range(2)]
    wanted = VerdictFilter(flagged=True, job_id=job_ids[0] if of_job else None)
    whole = refs(list(store.stream(wanted)))
    assert len(whole) == (1 if of_job else 2) * sum(score >= 0.5 for score in scores)
    assert refs(walk(store, wanted, limit)) == whole
    in_order = VerdictFilter(job_id=job_ids[1])
    assert [found.verdict.ordinal for found in walk(store, in_order, limit)] == list(range(20))


@pytest.mark.parametrize("of_job", [True, False])
def test_rows_that_come_and_go_between_pages_make_no_other_row_appear_twice_or_get_lost(
    bench: Bench, store: VerdictStore, of_job: bool
) -> None:
    chance = random.Random(7)
    # few scores, so that pages end in the middle of equal ones
    job_ids = [job_of(bench, [verdict(2 * i, chance.choice([0.6, 0.7, 0.8])) for i in range(60)]) for _ in range(2)]
    wanted = VerdictFilter(flagged=True, job_id=job_ids[0] if of_job else None)
    staying = set(refs(list(store.stream(wanted))))
    gone: set[str] = set()
    ordinals = iter(range(1, 1000, 2))

    def between() -> None:
        job_id = chance.choice(job_ids)
        record(bench.engine, job_id, [verdict(next(ordinals), chance.choice([0.6, 0.7, 0.8, 0.9])) for _ in range(2)])
        leaving = chance.sample(range(0, 120, 2), 2)
        with writing(bench.engine) as connection:
            connection.execute(delete(verdicts).where(verdicts.c.job_id == job_id, verdicts.c.ordinal.in_(leaving)))
        gone.update(f"{job_id}/{ordinal}" for ordinal in leaving)

    seen = refs(walk(store, wanted, 5, between))
    assert len(set(seen)) == len(seen)
    assert staying - gone <= set(seen)


def test_every_part_of_a_filter(bench: Bench, store: VerdictStore) -> None:
    one, two = (entry(f"2026/{i}.jpg", container=f"s3://{name}") for i, name in enumerate(("one", "two")))
    results = [
        replace(scored(0, one, 0.9), tampered_areas=(0.5,) * 16),
        replace(scored(1, two, 0.7), tampered_areas=(0.1,) * 16),
        scored(2, entry("2025/x.jpg"), 0.2),
        unreadable(3, entry("2026/bad.jpg"), ErrorCode.CORRUPT),
        unreadable(4, entry("2026/gone.jpg"), ErrorCode.NOT_FOUND),
    ]
    job_id = job_of(bench, results)
    other = job_of(bench, [verdict(0, 0.8, fingerprint=OTHER.fingerprint)], model=OTHER)

    def ordinals(**parts: object) -> list[int]:
        wanted = VerdictFilter(job_id=job_id, **parts)  # type: ignore[arg-type]
        return [found.verdict.ordinal for found in store.stream(wanted)]

    assert ordinals() == [0, 1, 2, 3, 4]
    assert ordinals(flagged=True) == [0, 1]
    assert ordinals(flagged=False) == [2, 3, 4]
    assert ordinals(min_score=0.7) == [0, 1]
    assert ordinals(max_score=0.7) == [1, 2]
    assert ordinals(min_area=0.3) == [0]
    assert ordinals(max_area=0.3, flagged=True) == [1]
    assert ordinals(prefix="2026/") == [0, 1, 3, 4]
    assert ordinals(prefix="2026/", container="s3://two") == [1]
    assert ordinals(failed=True) == [3, 4]
    assert ordinals(failed=False) == [0, 1, 2]
    assert ordinals(error_code=ErrorCode.NOT_FOUND) == [4]
    assert ordinals(model=FINGERPRINT[:12]) == [0, 1, 2, 3, 4]
    assert ordinals(model="other 2") == []
    for strange in ("a\0", "\udcff"):
        assert ordinals(prefix=strange) == ordinals(container=strange) == ordinals(model=strange) == []

    def ranked(**parts: object) -> list[str]:
        return refs(list(store.stream(VerdictFilter(flagged=True, **parts))))  # type: ignore[arg-type]

    assert ranked() == [f"{job_id}/0", f"{other}/0", f"{job_id}/1"]
    assert ranked(model="other 2") == ranked(model=OTHER.fingerprint[:8]) == [f"{other}/0"]
    assert ranked(model=MODEL.name) == [f"{job_id}/0", f"{job_id}/1"]


def test_what_no_index_serves_is_refused() -> None:
    for parts in ({}, {"flagged": False}, {"failed": True}, {"min_score": 0.5}):
        with pytest.raises(InvalidFilter, match="only the flagged ones"):
            VerdictFilter(**parts)  # type: ignore[arg-type]


def test_a_cursor_of_another_list_is_refused(bench: Bench, store: VerdictStore) -> None:
    job_id = job_of(bench, [verdict(i, 0.9) for i in range(4)])
    wanted = VerdictFilter(flagged=True, job_id=job_id)
    cursor = store.page(wanted, 2).next_cursor
    assert cursor is not None
    assert [found.verdict.ordinal for found in store.page(wanted, 2, cursor).items] == [1, 0]
    for others in (VerdictFilter(flagged=True), replace(wanted, min_score=0.5), VerdictFilter(job_id=job_id)):
        with pytest.raises(InvalidCursor, match="belongs to a list with other filters"):
            store.page(others, 2, cursor)


@pytest.mark.parametrize("cursor", ["", "x", "é", "====", "bnVsbA", "W10", "eyJhIjoxfQ", "A" * 5000, "a/b+c", "\0"])
def test_what_is_no_cursor_is_refused(store: VerdictStore, cursor: str) -> None:
    with pytest.raises(InvalidCursor, match="not one that was given out"):
        store.page(VerdictFilter(flagged=True), 2, cursor)


def test_a_forged_place_is_refused() -> None:
    for place in ([], ["0.5", "j", 1], [0.5, "j"], [True, "j", 1], [0.5, "j", 1, 1], [None, "j", 1]):
        forged = base64.urlsafe_b64encode(json.dumps(["ab" * 6, *place]).encode()).decode().rstrip("=")
        with pytest.raises(InvalidCursor):
            decode_cursor(forged, "ab" * 6, (float, str, int))
    place = (0.1 + 0.2, "j", 2**62)
    assert decode_cursor(encode_cursor(place, "ab" * 6), "ab" * 6, (float, str, int)) == place


# -- jobs


def job_walk(bench: Bench, wanted: JobFilter, limit: int, between: Callable[[], None] = lambda: None) -> list[JobId]:
    seen: list[JobId] = []
    cursor = None
    while True:
        page = bench.store.page(wanted, limit, cursor)
        seen += [job.id for job in page.items]
        if page.next_cursor is None:
            return seen
        cursor = page.next_cursor
        between()


def test_jobs_in_pages_newest_first_while_others_come_and_go(bench: Bench) -> None:
    made = []
    for number in range(12):
        made.append(
            bench.store.submit(new_job(options=JobOptions(name=f"n{number}", tags=("even",) * (number % 2 == 0))))
        )
        if number % 3 == 0:  # some at the same instant
            bench.clock.advance(1)
    gone: list[JobId] = []

    def between() -> None:
        bench.clock.advance(1)
        bench.store.submit(new_job())
        gone.append(made.pop(len(made) // 2))
        with writing(bench.engine) as connection:
            connection.execute(delete(jobs).where(jobs.c.id == gone[-1]))

    whole = [job.id for job in bench.store.page(JobFilter(), 100).items]
    seen = job_walk(bench, JobFilter(), 2, between)
    assert len(set(seen)) == len(seen)
    assert [job_id for job_id in seen if job_id in made] == [job_id for job_id in whole if job_id in made]


def test_job_filters_and_their_cursors(bench: Bench) -> None:
    first = bench.store.submit(new_job(options=JobOptions(name="Weekly", tags=("a",))))
    (before,) = bench.store.page(JobFilter()).items
    bench.clock.advance(100)
    second = bench.store.submit(new_job(model=OTHER))
    for wanted, expected in [
        (JobFilter(tag="a"), [first]),
        (JobFilter(name="week"), [first]),
        (JobFilter(model="other 2"), [second]),
        (JobFilter(model=FINGERPRINT[:12]), [first]),
        (JobFilter(created_after=before.created_at + 50), [second]),
        (JobFilter(created_before=before.created_at + 50), [first]),
        (JobFilter(tag="\0"), []),
        (JobFilter(name="\0"), []),
        (JobFilter(model="\0"), []),
    ]:
        assert job_walk(bench, wanted, 1) == expected, wanted
    cursor = bench.store.page(JobFilter(), 1).next_cursor
    assert cursor is not None
    with pytest.raises(InvalidCursor, match="other filters"):
        bench.store.page(JobFilter(tag="a"), 1, cursor)


def test_an_archive_in_a_bucket_is_named_whole(bench: Bench, store: VerdictStore) -> None:
    job_id = job_of(bench, [scored(0, ImageRef(container=CONTAINER, key=entry("a.jpg").key), 0.9)])
    assert ready_job(bench.engine, [entry("a.jpg")]) != job_id
    (found,) = store.stream(VerdictFilter(flagged=True))
    assert (str(found.ref), found.model, found.verdict.uri) == (f"{job_id}/0", MODEL, f"{CONTAINER}/a.jpg")
