"""Dispatchers and the models that are hosted: several at once, none for a while, another one in its place."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from support.builders import FINGERPRINT, Bench, check_completed, shard_rows
from support.dispatching import Gate, prepare, running, wait_until

from jobs.domain import Lease, ModelRef, Verdict
from jobs.domain.states import JobState
from jobs.errors import ModelUnavailable
from jobs.ports import ScoredImage
from jobs.testing import FixedModels, MemoryScorer
from jobs.verdicts import VerdictStore
from ncl_model.imaging.decoding import DecodedImage

pytestmark = pytest.mark.usefixtures("hurried")

OTHER = ModelRef(name="other", fingerprint="cd" * 32)


def test_a_job_waits_while_its_model_is_not_hosted_and_goes_on_once_it_is(bench: Bench) -> None:
    other = bench.submit(20, model=OTHER)
    mine = bench.submit(20)
    models = FixedModels(FINGERPRINT)
    with running(bench.dispatcher(models=models)):
        wait_until(lambda: bench.store.get(mine).state is JobState.COMPLETED)
        assert bench.store.get(other).state is JobState.READY
        models.fingerprints = {OTHER.fingerprint}
        wait_until(lambda: bench.store.get(other).state is JobState.COMPLETED)
    check_completed(bench.engine, other, 20)


def test_one_dispatcher_works_for_several_models_at_once(bench: Bench) -> None:
    jobs = [bench.submit(20), bench.submit(20, model=OTHER)]
    for job_id in jobs:
        prepare(bench, job_id)
    gate, begun = Gate(bench.screener().screen), set()

    def screen(lease: Lease) -> list[Verdict]:
        begun.add(lease.model.fingerprint)
        return gate(lease)

    with running(bench.dispatcher(screen, models=FixedModels(FINGERPRINT, OTHER.fingerprint))):
        gate.wait_for(2)  # a shard of each, by turns
        assert begun == {FINGERPRINT, OTHER.fingerprint}
        gate.open()
        wait_until(lambda: all(bench.store.get(job).state is JobState.COMPLETED for job in jobs))
    for job_id, fingerprint in zip(jobs, (FINGERPRINT, OTHER.fingerprint), strict=True):
        check_completed(bench.engine, job_id, 20)
        found = VerdictStore(bench.engine).of_job(job_id)
        assert {each.verdict.fingerprint for each in found} == {fingerprint}


def test_a_model_that_another_one_took_the_place_of_is_waited_for(bench: Bench, hurried: None) -> None:
    """As when somebody else hosts other weights for a while: nothing fails, and no attempt is counted."""
    job_id = bench.submit(20)
    replaced, asked = MemoryScorer(fingerprint=OTHER.fingerprint), threading.Event()

    class Replaced(MemoryScorer):
        def score(self, images: Sequence[DecodedImage], fingerprint: str) -> list[ScoredImage]:
            if asked.is_set():
                return super().score(images, fingerprint)
            return replaced.score(images, fingerprint)

    with running(bench.dispatcher(bench.screener(scorer=Replaced()).screen)):
        wait_until(lambda: "cdcdcdcdcdcd is being served" in str(bench.store.waits_for(job_id)))
        assert bench.store.get(job_id).state is JobState.RUNNING
        asked.set()
        wait_until(lambda: bench.store.get(job_id).state is JobState.COMPLETED)
    check_completed(bench.engine, job_id, 20)
    assert {row["attempt"] for row in shard_rows(bench.engine, job_id)} == {0}


def test_a_model_that_is_away_holds_up_no_job_of_another_one(bench: Bench) -> None:
    away, mine = bench.submit(20, model=OTHER), bench.submit(20)

    class HalfAway(MemoryScorer):
        def score(self, images: Sequence[DecodedImage], fingerprint: str) -> list[ScoredImage]:
            if fingerprint == OTHER.fingerprint:
                raise ModelUnavailable("nobody there")
            return super().score(images, fingerprint)

    models = FixedModels(FINGERPRINT, OTHER.fingerprint)
    with running(bench.dispatcher(bench.screener(scorer=HalfAway()).screen, models=models)):
        wait_until(lambda: bench.store.get(mine).state is JobState.COMPLETED)
        wait_until(lambda: bench.store.waits_for(away) == "nobody there")
    assert bench.store.get(away).state is not JobState.FAILED
