"""Cases on both databases: found in keys or told by a list, kept with every verdict, listed by their worst image."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.builders import FINGERPRINT, Bench, entry, ready_job, scored, unreadable

from jobs.domain import Decision, ImageRef, JobId, NewReview, VerdictRef
from jobs.errors import InvalidCursor
from jobs.preparation.cases import CasePattern, InvalidCasePattern, case_name
from jobs.reviews import ReviewStore
from jobs.shards.entries import pack_entries, unpack_entries
from jobs.verdicts import VerdictFilter, VerdictStore
from jobs.verdicts.cases import Case, CaseFilter

CLAIMS = "claims/(?P<case>[^/]+)/"


def screened(bench: Bench, images: list[ImageRef], scores: list[float | None]) -> JobId:
    job_id = ready_job(bench.engine, images, shard_size=len(images))
    (lease,) = bench.queue().claim(1, 60, fingerprints=[FINGERPRINT], job_id=job_id)
    results = [
        unreadable(i, image) if score is None else scored(i, image, score)
        for i, (image, score) in enumerate(zip(images, scores, strict=True))
    ]
    bench.queue().finish(lease, results)
    return job_id


@pytest.fixture
def job(bench: Bench) -> JobId:
    """Three cases and one image of none."""
    keys = ("claims/a/1.jpg", "claims/b/1.jpg", "claims/a/2.jpg", "claims/c/1.jpg", "x.jpg", "claims/b/2.jpg")
    images = CasePattern(CLAIMS).apply([entry(key) for key in keys])
    return screened(bench, images, [0.9, 0.2, 0.6, None, 0.95, 0.4])


def names(bench: Bench, job: JobId, **wanted: bool) -> list[str]:
    return [each.name for each in VerdictStore(bench.engine).cases(CaseFilter(job_id=job, **wanted)).items]


def test_a_case_is_as_suspect_as_its_worst_image(bench: Bench, job: JobId) -> None:
    a, b, c = VerdictStore(bench.engine).cases(CaseFilter(job_id=job)).items
    assert a == Case(name="a", images=2, score=0.9, flagged=2, unreviewed=2, confirmed=0, failed=0)
    assert (b.name, b.score, b.flagged) == ("b", 0.4, 0)
    assert (c.name, c.score, c.failed) == ("c", None, 1)
    assert names(bench, job, flagged=True) == ["a"]
    assert names(bench, job, flagged=False) == ["b", "c"]
    assert names(bench, job, by_name=True) == ["a", "b", "c"]


def test_reviews_count_by_case(bench: Bench, job: JobId) -> None:
    verdicts = VerdictStore(bench.engine)
    for ordinal, decision in ((0, Decision.CONFIRMED), (2, Decision.REJECTED)):
        assert names(bench, job, unreviewed=True) == ["a"]
        found = verdicts.at(VerdictRef(job_id=job, ordinal=ordinal))
        ReviewStore(bench.engine).add(found, NewReview(decision=decision, reviewer="ann"))
        assert verdicts.at(found.ref).review is decision
    assert names(bench, job, unreviewed=True) == []
    (a,) = verdicts.cases(CaseFilter(job_id=job, flagged=True)).items
    assert (a.unreviewed, a.confirmed) == (0, 1)


def test_verdicts_are_found_by_their_case(bench: Bench, job: JobId) -> None:
    verdicts = VerdictStore(bench.engine)
    found = verdicts.stream(VerdictFilter(job_id=job, case="b"))
    assert [each.verdict.key for each in found] == ["claims/b/1.jpg", "claims/b/2.jpg"]
    ranked = verdicts.stream(VerdictFilter(job_id=job, case="a", flagged=True))
    assert [each.verdict.score for each in ranked] == [0.9, 0.6]
    assert list(verdicts.stream(VerdictFilter(job_id=job, case="nobody\x00"))) == []


def test_a_retry_keeps_the_cases_of_what_failed(bench: Bench, job: JobId) -> None:
    (failed,) = bench.store.images_again(job)
    assert (failed.key, failed.case) == ("claims/c/1.jpg", "c")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 5), st.none() | st.integers(0, 3)), min_size=1, max_size=30),
    st.booleans(),
    st.integers(0, 99),
)
def test_a_walk_meets_every_case_once(
    bench: Bench, images: list[tuple[int, int | None]], by_name: bool, seed: int
) -> None:
    scores = [None if score is None else score / 4 for _, score in images]
    job = screened(bench, [entry(str(i), case=f"c{case}") for i, (case, _) in enumerate(images)], scores)
    worst: dict[str, float] = {}
    for (case, _), score in zip(images, scores, strict=True):
        worst[f"c{case}"] = max(worst.get(f"c{case}", -1.0), -1.0 if score is None else score)
    order = sorted(worst) if by_name else sorted(worst, key=lambda name: (worst[name], name), reverse=True)
    store, wanted, chance = VerdictStore(bench.engine), CaseFilter(job_id=job, by_name=by_name), random.Random(seed)
    page = store.cases(wanted, chance.randint(1, 3))
    walked = list(page.items)
    while page.next_cursor is not None:
        page = store.cases(wanted, chance.randint(1, 3), page.next_cursor)
        walked += page.items
    assert [each.name for each in walked] == order
    assert tuple(walked) == store.cases(wanted).items


def test_a_list_is_not_continued_in_another_order(bench: Bench, job: JobId) -> None:
    store = VerdictStore(bench.engine)
    page = store.cases(CaseFilter(job_id=job), 1)
    with pytest.raises(InvalidCursor):
        store.cases(CaseFilter(job_id=job, by_name=True), 1, page.next_cursor)


def test_entries_keep_their_case() -> None:
    entries = (entry("a", case="x"), entry("b"), entry("c", stamp="1:2", case="y"), entry("d", stamp="3:4"))
    assert unpack_entries(pack_entries(entries)) == entries


@pytest.mark.parametrize(
    "pattern", ["", "(", "a", "(a)", "(?P<claim>a)", "(?P<case>a)(?P<other>b)", "(?P<case>a)(b)", "\udcff"]
)
def test_patterns_that_name_no_case_are_refused(pattern: str) -> None:
    with pytest.raises(InvalidCasePattern, match="claims"):
        CasePattern(pattern)


def test_a_pattern_that_would_take_for_ever_does_not() -> None:
    slow = CasePattern("^(?P<case>(?:a+)+)$")
    (found,) = slow.apply([entry("a" * 1000 + "b")])
    assert found.case is None


def test_keys_that_are_hardly_text_have_their_say() -> None:
    odd = CasePattern("(?P<case>.*)/").apply([entry("\udcff/x"), entry(" /x"), entry("/x"), entry("y" * 500 + "/x")])
    assert [each.case for each in odd] == ["?", None, None, "y" * 200]
    assert case_name("  a ") == "a"
