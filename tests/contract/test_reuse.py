"""Verdicts taken over from earlier jobs, on both databases: what is found, what is counted, what is scored again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import md5

import pytest
from sqlalchemy import select, update
from support.builders import (
    CONTAINER,
    MODEL,
    Bench,
    check_completed,
    entry,
    fill,
    lease,
    new_job,
    picture,
    ready_job,
    results_of,
    unreadable,
)
from support.made_evidence import evidence
from support.preparing import prepare_one

from jobs.domain import ImageKey, ImageRef, JobId, JobOptions, Verdict
from jobs.preparation.preparer import Preparer
from jobs.screening.known_verdicts import KnownVerdicts
from jobs.sql.database import reading, writing
from jobs.sql.tables import jobs, verdicts
from jobs.testing import MemoryStorage


def record(bench: Bench, images: Sequence[ImageRef], found: Sequence[Verdict], **fields: object) -> JobId:
    """A finished job with these verdicts."""
    job_id = ready_job(bench.engine, images, shard_size=len(images), **fields)
    queue = bench.queue()
    model = fields.get("model", MODEL)
    (held,) = queue.claim(1, 60, fingerprints=[model.fingerprint], job_id=job_id)  # type: ignore[attr-defined]
    queue.finish(held, found)
    bench.store.complete(job_id)
    return job_id


def scored(images: Sequence[ImageRef], *, size: int | None = None, **fields: object) -> list[Verdict]:
    found = results_of(lease(images))
    return [replace(v, size=size or image.size, **fields) for v, image in zip(found, images, strict=True)]  # type: ignore[arg-type]


def known(bench: Bench, *images: ImageRef, **fields: object) -> list[str]:
    """Keys of the verdicts that a lease of these images brings along."""
    return sorted(v.key for v in KnownVerdicts(bench.engine).recall(lease(images, **fields)).known)


def test_the_same_key_and_any_image_of_the_same_size_are_known(bench: Bench) -> None:
    images = [entry("a.jpg", size=10), entry("b.jpg", size=20), entry("c.jpg", size=20)]
    record(bench, images, scored(images))
    assert known(bench, entry("a.jpg", size=10)) == ["a.jpg"]
    assert known(bench, entry("other name.jpg", size=20)) == ["b.jpg", "c.jpg"]
    assert known(bench, entry("a.jpg", size=11)) == []
    assert known(bench, entry("a.jpg")) == [], "without a size it is not looked up"


def test_a_known_verdict_comes_back_as_it_was_recorded(bench: Bench) -> None:
    image = entry("a.jpg", size=10, etag="e", version_id="v")
    (verdict,) = scored([image], evidence=evidence(1, pixels=0.2, copies=0.999))
    record(bench, [image], [verdict])
    (found,) = KnownVerdicts(bench.engine).recall(lease([image])).known
    assert replace(found, tampered_areas=()) == replace(verdict, tampered_areas=())
    assert found.tampered_areas == pytest.approx(verdict.tampered_areas, abs=1e-4)


def test_other_models_failures_and_what_was_taken_over_are_not_known(bench: Bench) -> None:
    image = entry("a.jpg", size=10)
    other = replace(MODEL, fingerprint="cd" * 32)
    record(bench, [image], [replace(scored([image])[0], fingerprint=other.fingerprint)], model=other)
    assert known(bench, image) == []
    record(bench, [image], [replace(unreadable(0, image), size=10)])
    assert known(bench, image) == []
    record(bench, [image], [replace(scored([image])[0], reused=True)])
    assert known(bench, image) == []
    record(bench, [image], scored([image]))
    assert known(bench, image) == ["a.jpg"]
    assert known(bench, image, rescore=True) == []


def test_the_same_thing_is_told_once_and_a_crowd_of_equal_sizes_is_cut_short(bench: Bench) -> None:
    image = entry("a.jpg", size=10)
    for _ in range(3):
        record(bench, [image], scored([image]))
    assert known(bench, image) == ["a.jpg"]
    crowd = [entry(f"{i:03d}.bmp", size=77) for i in range(100)]
    record(bench, crowd, scored(crowd))
    found = known(bench, crowd[50], crowd[60])
    assert {"050.bmp", "060.bmp"} <= set(found), "the same key goes first"
    assert len(found) <= 10


class Listening(MemoryStorage):
    """Writes down what is read."""

    def __init__(self, heard: list[str]) -> None:
        super().__init__(CONTAINER)
        self._heard = heard

    def read(self, key: ImageKey, *, version_id: str | None = None, max_bytes: int | None = None) -> bytes:
        self._heard.append(key)
        return super().read(key, version_id=version_id, max_bytes=max_bytes)


class Watching:
    """A bench whose dispatcher knows the database, and what was scored and read."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.read: list[str] = []
        bench.storage = Listening(self.read)

    def run(self, job_id: JobId, total: int) -> list[Verdict]:
        self.read.clear()
        self.bench.scorer.calls.clear()
        self.bench.dispatcher(only_job=job_id, known=KnownVerdicts(self.bench.engine)).run()
        check_completed(self.bench.engine, job_id, total)
        with reading(self.bench.engine) as connection:
            rows = select(verdicts).where(verdicts.c.job_id == job_id).order_by(verdicts.c.ordinal)
            return list(connection.execute(rows))  # type: ignore[arg-type]

    @property
    def scored(self) -> int:
        return sum(images for _, images in self.bench.scorer.calls)


@pytest.fixture
def watching(bench: Bench) -> Watching:
    return Watching(bench)


TRUSTING = JobOptions(trust_etags=True)


def test_a_second_job_over_unchanged_objects_scores_nothing_and_reads_them_unless_etags_are_trusted(
    watching: Watching,
) -> None:
    bench = watching.bench
    first = watching.run(bench.submit(40), 40)
    assert watching.scored == 40
    rows = watching.run(bench.submit(40, threshold=0.8), 40)
    assert (watching.scored, len(watching.read)) == (0, 40)
    assert all(row.reused for row in rows)
    job_id = bench.submit(40, threshold=0.8, options=TRUSTING)
    second = watching.run(job_id, 40)
    # those flagged have a heatmap from the first time, at 0.5; none needs to be made
    assert (watching.scored, watching.read) == (0, [])
    counts = bench.store.get(job_id).counts
    assert (counts.scored, counts.reused, counts.failed) == (0, 40, 0)
    assert [row.score for row in second] == [row.score for row in first]
    assert [row.flagged for row in second] == [row.score >= 0.8 for row in first]
    assert 0 < counts.flagged < 40
    assert [row.map_uri for row in second] == [row.map_uri if row.score >= 0.8 else None for row in first]


def test_etags_that_an_older_program_recorded_are_not_trusted(watching: Watching) -> None:
    """They were those of a listing, whatever had been read."""
    bench = watching.bench
    watching.run(bench.submit(5), 5)
    with writing(bench.engine) as connection:
        connection.execute(update(jobs).values(reads_frozen=False))
    watching.run(bench.submit(5, threshold=1.0, options=TRUSTING), 5)
    assert len(watching.read) == 5


def test_a_clean_file_that_lies_there_for_a_moment_gets_no_lasting_verdict(watching: Watching) -> None:
    """Found 1: swapped in while job 1 read, put back, and jobs 2 and 3 said 0.01 without looking."""
    bench = watching.bench
    tampered, clean = picture(0), picture(7)
    assert len(tampered) == len(clean)
    bench.scorer.set_score(tampered, 0.99)
    bench.scorer.set_score(clean, 0.01)
    job_id = bench.submit(3, options=TRUSTING)
    prepare_one(bench.store, Preparer(bench.store, bench.open))
    fill(bench.storage, [("000000.png", clean)])
    row, *_ = watching.run(job_id, 3)
    assert (row.error_code, row.score) == ("changed", None)
    fill(bench.storage, [("000000.png", tampered)])
    for options in (TRUSTING, JobOptions()):
        row, *_ = watching.run(bench.submit(3, options=options), 3)
        assert (row.score, row.etag) == (0.99, md5(tampered).hexdigest())


def test_rescore_scores_everything_again(watching: Watching) -> None:
    bench = watching.bench
    watching.run(bench.submit(10), 10)
    job_id = bench.submit(10, options=JobOptions(rescore=True))
    watching.run(job_id, 10)
    assert (watching.scored, bench.store.get(job_id).counts.reused) == (10, 0)


def test_changed_renamed_and_new_images(watching: Watching) -> None:
    bench = watching.bench
    watching.run(bench.submit(10), 10)
    fill(bench.storage, [("000003.png", picture(1003)), ("renamed.png", picture(5)), ("fresh.png", picture(2000))])
    bench.storage.now = 9.0
    fill(bench.storage, [("000004.png", picture(4))])  # written once more: the same bytes
    job_id = bench.store.submit(new_job(threshold=1.0, options=TRUSTING))
    rows = {row.key: row for row in watching.run(job_id, 12)}
    assert {key for key, row in rows.items() if not row.reused} == {"000003.png", "fresh.png"}
    assert watching.scored == 2
    assert rows["renamed.png"].score == rows["000005.png"].score
    assert rows["renamed.png"].sha256 == rows["000005.png"].sha256
    assert set(watching.read) >= {"000003.png", "fresh.png", "renamed.png"}
    assert "000007.png" not in watching.read


def test_what_is_newly_flagged_is_scored_for_its_heatmap(watching: Watching) -> None:
    bench = watching.bench
    first = watching.run(bench.submit(20, threshold=1.0), 20)
    assert not any(row.flagged for row in first)
    rows = watching.run(bench.submit(20, threshold=0.5), 20)
    assert 0 < watching.scored < 20
    for row in rows:
        assert row.reused == (row.score < 0.5)
        assert (row.map_uri is not None) == row.flagged


def test_failed_images_are_tried_again(watching: Watching) -> None:
    bench = watching.bench
    bench.scorer.fail_on(picture(2))
    watching.run(bench.submit(5), 5)
    bench.scorer._failing.clear()
    rows = watching.run(bench.submit(5, threshold=1.0), 5)
    assert [row.reused for row in rows] == [True, True, False, True, True]
