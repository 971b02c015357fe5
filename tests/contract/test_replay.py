"""What another rule would flag is what it flags: the counts against the verdicts themselves, on both databases."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.builders import FINGERPRINT, Bench, entry, ready_job, scored, unreadable

from jobs.domain import JobId, Verdict
from jobs.domain.shards import MAX_ATTEMPTS
from jobs.verdicts import Replay, Replayed, VerdictStore
from jobs.verdicts.replay_table import ReplayTable
from jobs.verdicts.replay_tables import ReplayTables, recorded_shards
from ncl_model.inference.scoring import AREA_CUTOFFS

JOB_THRESHOLD = 0.5
STEP = 1 / 65535

shares = st.one_of(st.floats(0, 1), st.sampled_from([0.0, STEP, 255 * STEP, 256 * STEP, 257 * STEP, 0.5, 1.0]))
one_image = st.tuples(st.floats(0, 1), st.none() | st.lists(shares, min_size=16, max_size=16))


def screened(bench: Bench, found: Sequence[tuple[float, Sequence[float] | None]]) -> JobId:
    """A job with these scores and areas, and one image without a score."""
    images = [entry(f"{i}.jpg") for i in range(len(found) + 1)]
    results: list[Verdict] = [
        replace(scored(i, images[i], score), flagged=score >= JOB_THRESHOLD, tampered_areas=tuple(areas or ()))
        for i, (score, areas) in enumerate(found)
    ]
    job_id = ready_job(bench.engine, images, shard_size=len(images))
    (lease,) = bench.queue().claim(1, 60, fingerprints=[FINGERPRINT], job_id=job_id)
    bench.queue().finish(lease, [*results, unreadable(len(found), images[-1])])
    return job_id


def expected(verdicts: Sequence[Verdict], rule: Replay) -> Replayed:
    """One verdict after the other."""
    asked = rule.area * 65535 > 1e-6
    cut = AREA_CUTOFFS.index(rule.cutoff)
    would, unknown = set(), 0
    for verdict in verdicts:
        if verdict.score is None or verdict.score < rule.score:
            continue
        if not asked or (verdict.tampered_areas and verdict.tampered_areas[cut] >= rule.area - 1e-6 * STEP):
            would.add(verdict.ordinal)
        elif not verdict.tampered_areas:
            unknown += 1
    flagged = {verdict.ordinal for verdict in verdicts if verdict.flagged}
    no_areas = {verdict.ordinal for verdict in verdicts if not verdict.tampered_areas}
    high = {verdict.ordinal for verdict in verdicts if verdict.score is not None and verdict.score >= rule.score}
    not_known = no_areas & high if asked else set()
    return Replayed(
        scored=sum(verdict.score is not None for verdict in verdicts),
        failed=sum(verdict.score is None for verdict in verdicts),
        flagged=len(flagged),
        would_flag=len(would),
        added=len(would - flagged),
        removed=len(flagged - would - not_known),
        unknown=unknown,
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    found=st.lists(one_image, min_size=1, max_size=30),
    score=st.floats(0, 1),
    area=shares,
    cutoff=st.sampled_from(AREA_CUTOFFS),
)
def test_counts_are_those_of_the_verdicts(
    bench: Bench, found: list[tuple[float, list[float] | None]], score: float, area: float, cutoff: float
) -> None:
    store, rule = VerdictStore(bench.engine), Replay(score=score, area=area, cutoff=cutoff)
    job_id = screened(bench, found)
    counted = expected([each.verdict for each in store.of_job(job_id)], rule)
    assert store.replay(job_id, rule) == counted
    table = ReplayTable.load(bench.engine, job_id, [range(len(found) + 1)])
    assert table.counts(rule) == counted, "and so in memory"
    assert list(table.histogram()) == store.score_histogram(job_id)


def test_a_running_job_is_kept_up_with(bench: Bench) -> None:
    """Shard after shard, in any order: as SQL counts it, each time."""
    images = [entry(f"{i}.jpg") for i in range(60)]
    job_id = ready_job(bench.engine, images, shard_size=6)
    store, queue = VerdictStore(bench.engine), bench.queue()
    tables = ReplayTables(partial(recorded_shards, bench.engine), partial(ReplayTable.load, bench.engine))
    leases = list(queue.claim(10, 60, fingerprints=[FINGERPRINT], job_id=job_id))
    random.Random(1).shuffle(leases)
    for done, lease in enumerate(leases, start=1):
        results: list[Verdict] = [
            replace(
                scored(lease.first_ordinal + i, each, 0.1 * (i + done % 4)),
                flagged=i > 3,
                tampered_areas=(0.1 * i,) * 16,
            )
            for i, each in enumerate(lease.entries[:-1])
        ]
        queue.finish(lease, [*results, unreadable(lease.first_ordinal + 5, lease.entries[-1])])
        rule = Replay(score=0.35, area=0.2)
        found = tables.find(job_id, JOB_THRESHOLD, 6 * done)
        assert found is not None
        assert found.counts(rule) == store.replay(job_id, rule)
        assert found.histogram() == store.score_histogram(job_id)
        assert len(found) == 6 * done


def test_images_that_were_set_aside_are_in_memory_too(bench: Bench) -> None:
    job_id = ready_job(bench.engine, [entry("a.jpg")], shard_size=1)
    queue = bench.queue()
    for _ in range(MAX_ATTEMPTS):
        (lease,) = queue.claim(1, 60, fingerprints=[FINGERPRINT], job_id=job_id)
        queue.fail_attempt(lease, "the worker died of it")
        bench.clock.advance(3600)
    recorded = recorded_shards(bench.engine, job_id)
    assert recorded == {0: 1}
    counted = ReplayTable.load(bench.engine, job_id, [range(1)]).counts(Replay(score=0.4))
    assert counted == VerdictStore(bench.engine).replay(job_id, Replay(score=0.4))
    assert counted.failed == 1


def test_the_job_s_own_rule_changes_nothing(bench: Bench) -> None:
    job_id = screened(bench, [(0.1, None), (0.5, None), (0.9, None)])
    counted = VerdictStore(bench.engine).replay(job_id, Replay(score=JOB_THRESHOLD))
    assert counted == Replayed(scored=3, failed=1, flagged=2, would_flag=2, added=0, removed=0, unknown=0)


def test_areas_that_were_not_kept_are_told_and_not_called_clean(bench: Bench) -> None:
    job_id = screened(bench, [(0.9, None), (0.9, [0.5] * 16), (0.9, [0.01] * 16), (0.1, None)])
    counted = VerdictStore(bench.engine).replay(job_id, Replay(score=0.4, area=0.25))
    assert counted == Replayed(scored=4, failed=1, flagged=3, would_flag=1, added=0, removed=1, unknown=1)


def test_a_job_without_verdicts(bench: Bench) -> None:
    rule = Replay(score=0.4, area=0.25)
    counted = VerdictStore(bench.engine).replay(JobId("nobody"), rule)
    assert ReplayTable.load(bench.engine, JobId("nobody"), [range(5)]).counts(rule) == counted
    assert counted == Replayed(scored=0, failed=0, flagged=0, would_flag=0, added=0, removed=0, unknown=0)


def test_a_cutoff_at_which_no_area_is_kept_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.2, 0\.25, "):
        Replay(score=0.5, cutoff=0.33)
