"""Figures for those who run it: counted by the database, against a bench made by hand."""

from __future__ import annotations

import pytest
from support.builders import FINGERPRINT, Bench, entries, ready_job, results_of, unreadable
from support.queueing import claim

from jobs.operations.figures import figures


def test_figures_are_those_of_the_database(bench: Bench) -> None:
    done = ready_job(bench.engine, entries(8), shard_size=4)
    first, second = claim(bench.queue(), job_id=done)
    bench.queue().finish(first, results_of(first))
    bench.queue().finish(second, [unreadable(4, second.entries[0]), *results_of(second)[1:]])
    bench.store.complete(done)
    waiting = ready_job(bench.engine, entries(12), shard_size=4)
    (held,) = claim(bench.queue(), 1, job_id=waiting)
    bench.clock.advance(30)
    found = figures(bench.engine, bench.clock)
    assert found.jobs == {"completed": 1, "running": 1}
    assert found.images["waiting"] == 12
    assert (found.images["scored"], found.images["failed"], found.images["flagged"]) == (7, 1, 0)
    assert found.shards == {"queued": 2, "leased": 1, "expired": 0}
    assert found.oldest_job_s == pytest.approx(30, abs=1)
    bench.clock.advance(60)
    assert figures(bench.engine, bench.clock).shards["expired"] == 1
    assert held.model.fingerprint == FINGERPRINT


def test_an_empty_database_has_figures_too(bench: Bench) -> None:
    found = figures(bench.engine, bench.clock)
    assert (found.jobs, found.oldest_job_s, found.unreviewed, found.dispatchers) == ({}, 0.0, 0, 0)
    assert found.images == {"scored": 0, "reused": 0, "failed": 0, "flagged": 0, "waiting": 0}
