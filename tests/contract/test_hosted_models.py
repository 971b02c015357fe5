"""Who hosts which model: rows that are kept alive, and what they say of jobs that wait."""

from __future__ import annotations

import pytest
from support.builders import Bench

from jobs.registry.hosted_models import HostedModel, HostedModels, HostingState

ONE, TWO = "ab" * 32, "cd" * 32
LEASE_S = 30.0


@pytest.fixture
def hosted(bench: Bench) -> HostedModels:
    return HostedModels(bench.engine, bench.clock)


def ready(fingerprint: str) -> HostedModel:
    return HostedModel(fingerprint=fingerprint, state=HostingState.READY)


def starting(fingerprint: str) -> HostedModel:
    return HostedModel(fingerprint=fingerprint, state=HostingState.STARTING, note="soon")


def refused(fingerprint: str) -> HostedModel:
    return HostedModel(fingerprint=fingerprint, state=HostingState.REFUSED, note="unknown\x00 here")


def test_a_model_is_held_while_any_dispatcher_hosts_it(hosted: HostedModels) -> None:
    hosted.renew("c1", "a", [ready(ONE), refused(TWO)], LEASE_S)
    hosted.renew("c1", "b", [starting(ONE)], LEASE_S)
    assert hosted.held("c1") == {ONE}
    assert hosted.held("c2") == set()
    hosted.leave("c1", "a")
    assert hosted.held("c1") == {ONE}
    hosted.renew("c1", "b", [ready(TWO)], LEASE_S)
    assert hosted.held("c1") == {TWO}
    assert hosted.abandoned("c1") == set()


def test_what_a_vanished_dispatcher_hosted_is_abandoned_once_nobody_else_hosts_it(
    hosted: HostedModels, bench: Bench
) -> None:
    hosted.renew("c1", "vanishes", [ready(ONE), ready(TWO)], LEASE_S)
    bench.clock.advance(LEASE_S - 5)
    hosted.renew("c1", "lives", [ready(TWO)], LEASE_S)
    assert hosted.abandoned("c1") == set()
    bench.clock.advance(6)
    assert hosted.held("c1") == {TWO}
    assert hosted.abandoned("c1") == {ONE}
    assert hosted.abandoned("c2") == set()
    hosted.forget("c1", [ONE, TWO])
    assert (hosted.abandoned("c1"), hosted.held("c1")) == (set(), {TWO})


def test_why_jobs_of_a_model_wait(hosted: HostedModels, bench: Bench) -> None:
    assert hosted.obstacles([ONE]) == {}  # nobody is there: nobody says anything
    hosted.renew("c1", "a", [refused(ONE), refused(TWO)], LEASE_S)
    assert hosted.obstacles([ONE]) == {ONE: "unknown\ufffd here"}
    hosted.renew("c2", "b", [starting(ONE)], LEASE_S)
    assert hosted.obstacles([ONE, TWO]) == {ONE: "soon", TWO: "unknown\ufffd here"}
    hosted.renew("c2", "b", [ready(ONE)], LEASE_S)
    assert hosted.obstacles([ONE]) == {}
    bench.clock.advance(LEASE_S + 1)
    assert hosted.obstacles([ONE, TWO]) == {}
