"""A job of only the failed images of another: frozen from its verdicts, in flat memory, whoever prepares it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import update
from support.builders import FINGERPRINT, MODEL, Bench, entry, ready_job, results_of, unreadable
from support.dispatching import prepare
from support.queueing import claim

from jobs.domain import FailureThreshold, Filters, ImageRef, JobId, JobOptions, ModelRef, RetryImages
from jobs.domain.states import JobState
from jobs.errors import ErrorCode, RequestRefused
from jobs.lifecycle.retries import retry_request
from jobs.sql.database import writing
from jobs.sql.tables import verdicts

CODES = [ErrorCode.TIMEOUT, None, ErrorCode.CORRUPT, ErrorCode.TIMEOUT, None]
OPTIONS = JobOptions(
    name="n", tags=("a",), priority=3, webhook="https://x", report="s3://r", failure_threshold=FailureThreshold(ratio=1)
)


def finished(bench: Bench, codes: list[ErrorCode | None]) -> JobId:
    """A job that is over, whose images have these codes; None is a score."""
    images = [entry(f"{i}/é.png", etag=f"e{i}", version_id=f"v{i}", size=i) for i in range(len(codes))]
    job_id = ready_job(bench.engine, images, shard_size=500, options=OPTIONS, threshold=0.25)
    for lease in claim(bench.queue(), job_id=job_id):
        verdicts = results_of(lease)
        for i, verdict in enumerate(verdicts):
            if (code := codes[verdict.ordinal]) is not None:
                image = lease.entries[i]
                failed = unreadable(verdict.ordinal, image, code)
                verdicts[i] = replace(failed, version_id=image.version_id, etag=image.etag, size=image.size)
        bench.queue().finish(lease, verdicts)
    bench.store.complete(job_id)
    return job_id


def corpus(bench: Bench, job_id: JobId) -> list[ImageRef]:
    leases = claim(bench.queue(), job_id=job_id)
    assert [lease.first_ordinal for lease in leases][:1] == [0]
    return [image for lease in leases for image in lease.entries]


@pytest.mark.parametrize(
    ("codes", "again"), [((), [0, 2, 3]), ((ErrorCode.TIMEOUT,), [0, 3]), ((ErrorCode.CORRUPT, ErrorCode.EMPTY), [2])]
)
def test_the_failed_images_are_the_new_corpus(bench: Bench, codes: tuple[ErrorCode, ...], again: list[int]) -> None:
    earlier = bench.store.get(finished(bench, CODES))
    assert bench.store.count_again(earlier.id, codes=codes) == len(again)
    job_id = bench.store.submit(retry_request(earlier, codes))
    prepare(bench, job_id)
    job = bench.store.get(job_id)
    assert (job.state, job.counts.total, job.ignored) == (JobState.READY, len(again), 0)
    assert (job.found.seen, job.found.unsized) == (len(again), len(again))
    assert (job.model, job.threshold, job.source) == (MODEL, 0.25, earlier.source)
    assert job.options.retry_of == earlier.id
    assert job.options.retry_codes == codes
    assert (job.options.name, job.options.priority, job.options.webhook, job.options.report) == (
        "retry of n", 3, "https://x", "s3://r",
    )  # fmt: skip
    # the version stays; what said which bytes failed does not
    assert corpus(bench, job_id) == [entry(f"{i}/é.png", version_id=f"v{i}") for i in again]


def test_more_images_than_one_chunk_and_a_preparer_that_vanishes(bench: Bench) -> None:
    count = 1300
    earlier = bench.store.get(finished(bench, [ErrorCode.NOT_FOUND] * count))
    job_id = bench.store.submit(retry_request(earlier))
    dead = bench.store.claim_preparation(60, job_id)
    assert dead is not None
    bench.store.extend_preparation(dead, 60, shard=[entry("half.png")])
    bench.clock.advance(61)
    prepare(bench, job_id)
    assert [image.key for image in corpus(bench, job_id)] == [f"{i}/é.png" for i in range(count)]


def test_a_retry_of_a_retry_has_only_what_failed_twice(bench: Bench) -> None:
    earlier = bench.store.get(finished(bench, CODES))
    second = bench.store.submit(retry_request(earlier))
    prepare(bench, second)
    (lease,) = claim(bench.queue(), job_id=second)
    results = results_of(lease)
    results[1] = unreadable(1, lease.entries[1], ErrorCode.CORRUPT)
    bench.queue().finish(lease, results)
    third = bench.store.submit(retry_request(bench.store.complete(second)))
    prepare(bench, third)
    assert [image.key for image in corpus(bench, third)] == ["2/é.png"]


def test_another_model_and_its_threshold(bench: Bench) -> None:
    other = ModelRef(name="other", fingerprint="cd" * 32)
    earlier = bench.store.get(finished(bench, CODES))
    new = retry_request(earlier, model=other, threshold=0.75, policy={"max_fpr": 0.01})
    assert (new.model, new.threshold, new.policy) == (other, 0.75, {"max_fpr": 0.01})
    assert retry_request(earlier, model=other).threshold == 0.25


def test_a_job_that_is_not_over_is_not_retried(bench: Bench) -> None:
    job = bench.store.get(ready_job(bench.engine, [entry("a.png")]))
    with pytest.raises(RequestRefused, match="which is ready: its verdicts are known when it is over"):
        retry_request(job)


def test_a_retry_of_nothing_fails_with_the_reason(bench: Bench) -> None:
    earlier = bench.store.get(finished(bench, [None]))
    assert bench.store.count_again(earlier.id) == 0
    job_id = bench.store.submit(retry_request(earlier))
    prepare(bench, job_id)
    job = bench.store.get(job_id)
    assert (job.state, job.error) == (
        JobState.FAILED,
        f"nothing to retry: job {earlier.id} has no such images",
    )
    assert (job.filters, job.model.fingerprint) == (Filters(), FINGERPRINT)


def test_a_retry_bears_a_name_of_its_own_and_never_gives_up(bench: Bench) -> None:
    earlier = bench.store.get(finished(bench, CODES))
    nameless = replace(earlier, options=replace(earlier.options, name=None, failure_threshold=FailureThreshold()))
    assert retry_request(nameless).options.name == f"retry of {earlier.id}"
    assert retry_request(nameless).options.failure_threshold.ratio == 1
    assert retry_request(earlier, name="mine").options.name == "mine"
    job = earlier
    for name in ("retry of n", "retry 2 of n", "retry 3 of n"):
        job = replace(job, options=retry_request(job).options)
        assert job.options.name == name


@pytest.mark.parametrize(
    ("images", "again"), [(RetryImages.ALL, [0, 1, 2, 3, 4]), (RetryImages.FLAGGED, [4]), (RetryImages.REVIEWED, [1])]
)
def test_other_images_are_the_new_corpus_too(bench: Bench, images: RetryImages, again: list[int]) -> None:
    earlier = bench.store.get(finished(bench, CODES))
    with writing(bench.engine) as connection:
        of_job = verdicts.c.job_id == earlier.id
        connection.execute(update(verdicts).where(of_job).values(flagged=verdicts.c.ordinal == 4))
        connection.execute(update(verdicts).where(of_job, verdicts.c.ordinal == 1).values(review="rejected"))
    assert bench.store.count_again(earlier.id, images) == len(again)
    new = retry_request(earlier, images=images, model=ModelRef(name="memory 2", fingerprint="cd" * 32))
    job_id = bench.store.submit(new)
    prepare(bench, job_id)
    job = bench.store.get(job_id)
    assert (job.state, job.counts.total, job.model.name) == (JobState.READY, len(again), "memory 2")
    assert (job.options.retry_of, job.options.retry_images, job.options.name) == (earlier.id, images, "rescreen of n")
    found = bench.queue().claim(100, 60, fingerprints=["cd" * 32], job_id=job_id)
    assert [(image.key, image.version_id, image.etag) for lease in found for image in lease.entries] == [
        (f"{i}/é.png", f"v{i}", None) for i in again
    ]
    assert bench.store.get(earlier.id).counts == earlier.counts


def test_a_rescreening_is_named_and_gives_up_as_the_job_did(bench: Bench) -> None:
    earlier = bench.store.get(finished(bench, CODES))
    careful = replace(earlier, options=replace(earlier.options, failure_threshold=FailureThreshold(ratio=0.1)))
    first = retry_request(careful, images=RetryImages.ALL)
    assert (first.options.name, first.options.failure_threshold.ratio) == ("rescreen of n", 0.1)
    assert retry_request(careful).options.failure_threshold.ratio == 1.0
    once = replace(careful, options=first.options)
    assert retry_request(once, images=RetryImages.ALL).options.name == "rescreen 2 of n"
    assert retry_request(once).options.name == "retry of rescreen of n"
    with pytest.raises(RequestRefused, match="rescreen"):
        retry_request(replace(careful, state=JobState.RUNNING), images=RetryImages.FLAGGED)
