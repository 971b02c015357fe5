"""Questions to the verdicts: flagged images, one image, failures, the spread of scores."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from support.builders import FINGERPRINT, Bench, entry, ready_job, scored, unreadable
from support.made_evidence import evidence

from jobs.domain import ImageRef, JobId, Verdict
from jobs.domain.signals import SignalKind
from jobs.errors import AmbiguousImage, ErrorCode, VerdictNotFound
from jobs.verdicts import HISTOGRAM_BINS, VerdictFilter, VerdictStore
from nclscreen.visible_text import visible_text

LONG_KEY = "é" * 3500 + ".jpg"


def screened(bench: Bench, images: Sequence[ImageRef], results: Sequence[Verdict]) -> JobId:
    """A job with these results."""
    job_id = ready_job(bench.engine, images, shard_size=max(1, len(images)))
    (lease,) = bench.queue().claim(1, 60, fingerprints=[FINGERPRINT], job_id=job_id)
    bench.queue().finish(lease, results)
    return job_id


def with_scores(bench: Bench, scores: Sequence[float], *, names: Sequence[str] | None = None) -> JobId:
    images = [entry(name) for name in names or [f"{i}.jpg" for i in range(len(scores))]]
    return screened(bench, images, [scored(i, images[i], score) for i, score in enumerate(scores)])


@pytest.fixture
def verdicts(engine: Engine) -> VerdictStore:
    return VerdictStore(engine)


def flagged_keys(verdicts: VerdictStore, **query: object) -> list[str]:
    limit = query.pop("limit", 100)
    wanted = VerdictFilter(flagged=True, **query)  # type: ignore[arg-type]
    return [match.verdict.key for match in verdicts.stream(wanted, limit)]  # type: ignore[arg-type]


def test_a_verdict_comes_back_as_it_was_recorded(bench: Bench, verdicts: VerdictStore) -> None:
    images = [entry("a.jpg", etag="e", version_id="v", size=5), entry("b.jpg")]
    results = [
        replace(scored(0, images[0], 0.1 + 0.2), map_uri="file:///maps/é%20.png", size=2**40),
        unreadable(1, images[1], ErrorCode.TOO_LARGE, 'it\'s "too" large — 写'),
    ]
    job_id = screened(bench, images, results)
    assert [match.verdict for match in verdicts.of_job(job_id)] == results
    assert verdicts.find(job_id, "a.jpg").verdict == results[0]


def test_flagged_images_come_highest_score_first(bench: Bench, verdicts: VerdictStore) -> None:
    first = with_scores(bench, [0.6, 0.4, 0.9, 0.5])
    second = with_scores(bench, [0.7, 0.2])
    found = [(match.job_id, match.verdict.score) for match in verdicts.stream(VerdictFilter(flagged=True))]
    assert found == [(first, 0.9), (second, 0.7), (first, 0.6), (first, 0.5)]
    assert flagged_keys(verdicts, job_id=first) == ["2.jpg", "0.jpg", "3.jpg"]


def test_equal_scores_have_one_order(bench: Bench, verdicts: VerdictStore) -> None:
    with_scores(bench, [0.75] * 20)
    assert flagged_keys(verdicts) == flagged_keys(verdicts)
    assert flagged_keys(verdicts, limit=7) == flagged_keys(verdicts)[:7]


def test_the_lowest_score_asked_for_is_included(bench: Bench, verdicts: VerdictStore) -> None:
    job_id = with_scores(bench, [0.6, 0.8, 0.7])
    assert flagged_keys(verdicts, job_id=job_id, min_score=0.7) == ["1.jpg", "2.jpg"]
    assert flagged_keys(verdicts, job_id=job_id, min_score=0.81) == []


def test_limits(bench: Bench, verdicts: VerdictStore) -> None:
    with_scores(bench, [0.9] * 150)
    assert len(flagged_keys(verdicts)) == 100
    assert len(flagged_keys(verdicts, limit=None)) == 150
    assert flagged_keys(verdicts, limit=0) == []


NAMES = ["a%b/1.jpg", "axb/2.jpg", "a_b/3.jpg", "A%b/4.jpg", "it's/5.jpg", 'quo"te/6.jpg', "é/写/7.jpg", "a\\b/8.jpg"]


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("a%", ["a%b/1.jpg"]),
        ("a_", ["a_b/3.jpg"]),
        ("a", ["a%b/1.jpg", "axb/2.jpg", "a_b/3.jpg", "a\\b/8.jpg"]),
        ("it's", ["it's/5.jpg"]),
        ("it's' OR 1=1 --", []),
        ('quo"', ['quo"te/6.jpg']),
        ("é/写", ["é/写/7.jpg"]),
        ("a\\", ["a\\b/8.jpg"]),
        ("", NAMES),
        ("x\0", []),
        ("\udcff", []),
    ],
)
def test_a_prefix_is_plain_text(bench: Bench, verdicts: VerdictStore, prefix: str, expected: list[str]) -> None:
    with_scores(bench, [0.9] * len(NAMES), names=NAMES)
    assert sorted(flagged_keys(verdicts, prefix=prefix)) == sorted(expected)


@pytest.mark.parametrize("key", [LONG_KEY, *NAMES])
def test_one_image_by_its_key(bench: Bench, verdicts: VerdictStore, key: str) -> None:
    job_id = with_scores(bench, [0.1] * (len(NAMES) + 1), names=[*NAMES, LONG_KEY])
    assert verdicts.find(job_id, key).verdict.key == key


@pytest.mark.parametrize("key", ["b.jpg", "a.JPG", "a.jpg ", "", "%", "a\0", "\udcff", LONG_KEY])
def test_a_key_without_verdict(bench: Bench, verdicts: VerdictStore, key: str) -> None:
    job_id = with_scores(bench, [0.1], names=["a.jpg"])
    with pytest.raises(VerdictNotFound):
        verdicts.find(job_id, key)
    with pytest.raises(VerdictNotFound):
        verdicts.find(JobId("another"), "a.jpg")


def test_an_image_named_in_two_buckets_is_found_by_its_address_or_number(bench: Bench, verdicts: VerdictStore) -> None:
    images = [entry("a.jpg"), entry("a.jpg", container="s3://other"), entry("1")]
    job_id = screened(bench, images, [scored(i, image, 0.1 + i / 10) for i, image in enumerate(images)])

    def found(said: str) -> int:
        return verdicts.find(job_id, said).verdict.ordinal

    assert found("s3://photos/a.jpg") == found("0") == found(f"{job_id}/0") == 0
    assert found("s3://other/a.jpg") == found(f"{job_id}/1") == 1
    assert found("s3://photos/1") == found("2") == 2
    with pytest.raises(AmbiguousImage) as caught:
        found("a.jpg")
    assert caught.value.candidates == [(0, "s3://photos/a.jpg"), (1, "s3://other/a.jpg")]
    assert f"{job_id}/1 ('s3://other/a.jpg')" in str(caught.value)
    with pytest.raises(AmbiguousImage):
        found("1")  # a number, and somebody's key
    for nobody in ("s3://photos", "s3://", "3", f"{job_id}/9", "another0000000000/0", "9" * 30, "s3://third/a.jpg"):
        with pytest.raises(VerdictNotFound):
            found(nobody)


@pytest.mark.parametrize(
    "key",
    ["a\nb.jpg", "a\r\tb.jpg", "gpj\u202eexe.jpg", "\xa0.jpg", "\x1b[31m.jpg", "\U000e0041.jpg", "C:\\new\\x.jpg"],
)
def test_a_key_is_found_as_it_is_printed(bench: Bench, verdicts: VerdictStore, key: str) -> None:
    job_id = with_scores(bench, [0.1, 0.2], names=["other.jpg", key])
    for said in (visible_text(key), f"s3://photos/{visible_text(key)}"):
        assert verdicts.find(job_id, said).verdict.key == key


def test_a_key_that_is_spelled_like_an_escape_comes_first(bench: Bench, verdicts: VerdictStore) -> None:
    job_id = with_scores(bench, [0.1, 0.2], names=["a\nb.jpg", "a\\nb.jpg"])
    assert verdicts.find(job_id, "a\\nb.jpg").verdict.ordinal == 1
    assert verdicts.find(job_id, "a\nb.jpg").verdict.ordinal == 0


@pytest.mark.parametrize("said", ["\\x00", "\\ud800", "\\udcff", "\\U00110000", "\\Uffffffff", "\\u12", "\\", "\\x30"])
def test_an_escape_of_what_no_key_has_finds_nothing(bench: Bench, verdicts: VerdictStore, said: str) -> None:
    job_id = with_scores(bench, [0.1], names=["a.jpg"])
    with pytest.raises(VerdictNotFound):
        verdicts.find(job_id, said)


def test_two_versions_of_an_object_are_told_apart_by_number(bench: Bench, verdicts: VerdictStore) -> None:
    images = [entry("a.jpg", version_id=version) for version in ("v1", "v2")]
    job_id = screened(bench, images, [scored(i, image) for i, image in enumerate(images)])
    with pytest.raises(AmbiguousImage):
        verdicts.find(job_id, "s3://photos/a.jpg")
    assert verdicts.find(job_id, "1").verdict.version_id == "v2"


@pytest.mark.parametrize("container", ["file:///", "file:///a%20b", "file:///a/b/c", "s3://bucket"])
@pytest.mark.parametrize("key", ["x.jpg", "b/c/x.jpg", "c//x.jpg", "/x.jpg", "a b/é.jpg", "/" * 900 + "x.jpg"])
def test_every_address_that_is_printed_is_found(bench: Bench, verdicts: VerdictStore, container: str, key: str) -> None:
    images = [entry(key, container="s3://elsewhere"), entry(key, container=container)]
    job_id = screened(bench, images, [scored(i, image) for i, image in enumerate(images)])
    assert verdicts.find(job_id, images[1].uri).verdict.ordinal == 1


def test_failures_come_in_the_order_of_the_manifest(bench: Bench, verdicts: VerdictStore) -> None:
    images = [entry(f"{i}.jpg") for i in range(6)]
    codes = {1: ErrorCode.CORRUPT, 3: ErrorCode.EMPTY, 4: ErrorCode.CORRUPT}
    results = [
        unreadable(i, image, codes[i]) if i in codes else scored(i, image, 0.9) for i, image in enumerate(images)
    ]
    job_id = screened(bench, images, results)
    with_scores(bench, [0.5])
    failed = VerdictFilter(job_id=job_id, failed=True)
    assert [match.verdict for match in verdicts.stream(failed)] == [results[1], results[3], results[4]]
    assert [match.verdict.ordinal for match in verdicts.stream(failed, 2)] == [1, 3]
    assert list(verdicts.error_counts(job_id).items()) == [("corrupt", 2), ("empty", 1)]
    assert len(flagged_keys(verdicts, job_id=job_id)) == 3


def test_the_spread_of_scores_with_its_edges(bench: Bench, verdicts: VerdictStore) -> None:
    images = [entry(f"{i}.jpg") for i in range(6)]
    scores = [0.0, 1.0, math.nextafter(1.0, 0.0), 0.5, math.nextafter(0.5, 0.0)]
    results = [*(scored(i, images[i], score) for i, score in enumerate(scores)), unreadable(5, images[5])]
    job_id = screened(bench, images, results)
    with_scores(bench, [0.3])
    bins = verdicts.score_histogram(job_id)
    assert {i: n for i, n in enumerate(bins) if n} == {0: 1, 24: 1, 25: 1, HISTOGRAM_BINS - 1: 2}
    assert len(bins) == HISTOGRAM_BINS


def test_how_many_images_could_not_be_tested_for_which_evidence(bench: Bench, verdicts: VerdictStore) -> None:
    documents = [
        evidence(2, pixels=0.5, traces=0.0, copies=1e-06),
        evidence(0, pixels=1e-06, traces=1.0, copies=1.0),
        evidence(0, {"copies": "too_small"}, pixels=0.5, traces=0.5),
        evidence(0, {"copies": "too_small", "traces": "no_grid", "together": "no_grid"}),
        None,
    ]
    images = [entry(f"{i}.jpg") for i in range(6)]
    results = [replace(scored(i, images[i]), evidence=document) for i, document in enumerate(documents)]
    job_id = screened(bench, images, [*results, unreadable(5, images[5])])
    with_scores(bench, [0.3])
    assert verdicts.untestable_counts(job_id) == {"traces": 1, "together": 1, "copies": 2}
    assert [found.verdict.evidence for found in verdicts.of_job(job_id)] == [*documents, None]
    assert verdicts.untestable_counts(JobId("nobody")) == {}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scores=st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_every_score_is_in_one_bar(bench: Bench, scores: list[float]) -> None:
    bins = VerdictStore(bench.engine).score_histogram(with_scores(bench, scores))
    expected = [0] * HISTOGRAM_BINS
    for score in scores:
        expected[min(int(score * HISTOGRAM_BINS), HISTOGRAM_BINS - 1)] += 1
    assert bins == expected


def test_a_job_without_verdicts(verdicts: VerdictStore) -> None:
    nobody = JobId("nobody")
    assert list(verdicts.of_job(nobody)) == list(verdicts.stream(VerdictFilter(job_id=nobody, failed=True))) == []
    assert sum(verdicts.score_histogram(nobody)) == 0
    assert verdicts.error_counts(nobody) == {}


def test_answers_stream(bench: Bench, verdicts: VerdictStore) -> None:
    for _ in range(3):
        with_scores(bench, [0.9] * 4000)

    def peak_bytes(take: int | None) -> int:
        tracemalloc.start()
        try:
            seen = sum(1 for _ in islice(verdicts.stream(VerdictFilter(flagged=True)), take))
            assert seen == (take or 12_000)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak_bytes(10)  # what is cached once
    assert peak_bytes(None) < 2 * peak_bytes(1500)


def test_a_reader_who_takes_his_time_or_stops_early_keeps_no_connection(bench: Bench, verdicts: VerdictStore) -> None:
    with_scores(bench, [0.9] * 2000)
    readers = [verdicts.stream(VerdictFilter(flagged=True)) for _ in range(20)]  # more than the pool has connections
    for reader in readers:
        next(reader)
    with_scores(bench, [0.5])


def test_signals_are_kept_and_filtered_by(bench: Bench) -> None:
    images = [entry(f"{i}.jpg") for i in range(4)]
    says = [{"software": 'x"dates":'}, {"dates": "late"}, None, {"dates": "early", "c2pa": True}]
    job_id = ready_job(bench.engine, images)
    (lease,) = bench.queue().claim(1, 60, fingerprints=[FINGERPRINT], job_id=job_id)
    results = [replace(scored(i, images[i], 0.9), signals=said) for i, said in enumerate(says)]
    bench.queue().finish(lease, results)
    store = VerdictStore(bench.engine)
    assert [found.verdict.signals for found in store.of_job(job_id)] == says
    for signal, places in ((SignalKind.DATES, [1, 3]), (SignalKind.SOFTWARE, [0]), (SignalKind.THUMBNAIL, [])):
        found = store.stream(VerdictFilter(job_id=job_id, signal=signal))
        assert [each.verdict.ordinal for each in found] == places
        ranked = store.stream(VerdictFilter(job_id=job_id, flagged=True, signal=signal))
        assert sorted(each.verdict.ordinal for each in ranked) == places
