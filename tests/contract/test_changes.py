"""What a second opinion changed: counted and listed against a job made by hand, on both databases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from support.builders import FINGERPRINT, Bench, entry, ready_job, scored, unreadable
from support.dispatching import prepare

from jobs.domain import Filters, JobId, RetryImages
from jobs.domain.access import ProjectName
from jobs.errors import InvalidFilter
from jobs.lifecycle.retries import retry_request
from jobs.verdicts import Change, VerdictFilter, VerdictStore


def screened(bench: Bench, scores: Mapping[str, float | None], *, container: str = "s3://archive") -> JobId:
    """A job of these images, flagged from 0.5 on; None is an error code."""
    images = [replace(entry(f"{name}.jpg"), container=container) for name in scores]
    job_id = ready_job(bench.engine, images, shard_size=len(images))
    (lease,) = bench.queue().claim(1, 60, fingerprints=[FINGERPRINT], job_id=job_id)
    found = [
        unreadable(i, images[i]) if score is None else scored(i, images[i], score)
        for i, score in enumerate(scores.values())
    ]
    bench.queue().finish(lease, found)
    bench.store.complete(job_id)
    return job_id


BEFORE = {"a": 0.9, "b": 0.1, "c": 0.8, "d": 0.2, "e": None, "f": 0.9, "only before": 0.9}
#: in another order, as a job has that took them again
AFTER = {"f": None, "b": 0.7, "only after": 0.9, "a": 0.95, "c": 0.3, "d": 0.1, "e": 0.9}


def listed(bench: Bench, after: JobId, before: JobId, change: Change, **parts: object) -> list[str]:
    wanted = VerdictFilter(job_id=after, against=before, change=change, **parts)  # type: ignore[arg-type]
    store = VerdictStore(bench.engine)
    found = [each.verdict.key.removesuffix(".jpg") for each in store.listing(wanted)]
    assert store.count(wanted) == len(found)
    return found


def test_images_are_compared_by_place_and_only_those_with_a_score_in_both(bench: Bench) -> None:
    before, after = screened(bench, BEFORE), screened(bench, AFTER)
    assert listed(bench, after, before, Change.ANY) == ["b", "a", "c", "d"]
    assert listed(bench, after, before, Change.FLAGGED) == ["b"]
    assert listed(bench, after, before, Change.CLEARED) == ["c"]
    # the other way round
    assert listed(bench, before, after, Change.FLAGGED) == ["c"]
    assert listed(bench, before, after, Change.CLEARED) == ["b"]


def test_other_filters_hold_too(bench: Bench) -> None:
    before, after = screened(bench, BEFORE), screened(bench, AFTER)
    assert listed(bench, after, before, Change.ANY, flagged=True) == ["a", "b"]  # the highest score first
    assert listed(bench, after, before, Change.ANY, max_score=0.3) == ["c", "d"]
    assert listed(bench, after, before, Change.FLAGGED, min_score=0.8) == []


def test_the_same_name_in_another_bucket_is_another_image(bench: Bench) -> None:
    before, elsewhere = screened(bench, BEFORE), screened(bench, AFTER, container="s3://other")
    assert listed(bench, elsewhere, before, Change.ANY) == []


def test_pages_of_changes_have_each_once(bench: Bench) -> None:
    before = screened(bench, {f"{i}": 0.1 for i in range(25)})
    after = screened(bench, {f"{i}": 0.9 - i / 1000 for i in range(25)})
    store, found, cursor = VerdictStore(bench.engine), [], None
    wanted = VerdictFilter(job_id=after, against=before, change=Change.FLAGGED, flagged=True)
    while True:
        page = store.page(wanted, 7, cursor)
        found += [each.verdict.key for each in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert found == [f"{i}.jpg" for i in range(25)]


def test_half_a_change_is_none() -> None:
    for parts in ({"against": JobId("x")}, {"change": Change.ANY}):
        with pytest.raises(InvalidFilter, match="give both"):
            VerdictFilter(job_id=JobId("y"), **parts)  # type: ignore[arg-type]


def test_a_project_sees_its_own_alone(bench: Bench) -> None:
    before, after = screened(bench, BEFORE), screened(bench, AFTER)
    store = VerdictStore(bench.engine, project=ProjectName("lab"))
    assert store.count(VerdictFilter(job_id=after, against=before, change=Change.ANY)) == 0


def test_a_sample_of_a_job_is_the_same_each_time(bench: Bench) -> None:
    earlier = bench.store.get(screened(bench, {f"{i}": i / 100 for i in range(60)}))

    def corpus() -> list[str]:
        new = retry_request(earlier, images=RetryImages.ALL)
        job_id = bench.store.submit(replace(new, filters=Filters(sample=20)))
        prepare(bench, job_id)
        leases = bench.queue().claim(100, 60, fingerprints=[FINGERPRINT], job_id=job_id)
        return [image.key for lease in leases for image in lease.entries]

    first = corpus()
    assert (len(first), len(set(first))) == (20, 20)
    assert corpus() == first
    assert first != [f"{i}.jpg" for i in range(20)]
