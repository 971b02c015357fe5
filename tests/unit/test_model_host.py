"""Hosting what jobs need, with a cluster in memory and dispatchers that know of each other by the database alone."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest
from support.builders import FINGERPRINT, MODEL, Bench, entries, ready_job
from support.hosting import KnownVersions, MemoryApps, hosted_name

from jobs.domain import JobId, JobOptions, ModelRef
from jobs.registry.hosted_models import HostedModels
from jobs.sql.database import create_database_engine
from jobs.sql.migrations import upgrade
from nclscreen.hosting.applications import AppState
from nclscreen.hosting.model_host import AGAIN_S, GRACE_S, LEASE_S, ModelHost
from nclscreen.services.session import MAX_SILENCE_S, ClusterLost, Session

OTHER = ModelRef(name="other", fingerprint="cd" * 32)
THIRD = ModelRef(name="third", fingerprint="ef" * 32)


class Cluster:
    """One cluster, one database, one clock, and as many dispatchers as a test wants."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.apps = MemoryApps()
        self.register = HostedModels(bench.engine, bench.clock)
        self.now = 0.0

    def host(self, name: str, *, spare: ModelRef = MODEL, known: tuple[ModelRef, ...] = (), most: int = 2) -> ModelHost:
        return ModelHost(
            apps=self.apps,
            register=self.register,
            jobs=self.bench.store,
            versions=KnownVersions(*(model.fingerprint for model in (spare, *known))),
            cluster="c1",
            dispatcher=name,
            most=most,
            spare=lambda: [spare.fingerprint],
            clock=lambda: self.now,
        )

    def job(self, model: ModelRef, priority: int = 0) -> JobId:
        return ready_job(self.bench.engine, entries(4), model=model, options=JobOptions(priority=priority))

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        self.bench.clock.advance(seconds)

    def all_running(self) -> None:
        for name, app in self.apps.apps.items():
            if app.state is AppState.STARTING:
                self.apps.apps[name] = type(app)(state=AppState.RUNNING)

    def live(self, *hosts: ModelHost, seconds: float = 0.0) -> None:
        """Every host looks, applications come up, and every host looks again; every five seconds."""
        for _ in range(1 + int(seconds / 5)):
            for host in hosts:
                host.look()
            self.all_running()
            for host in hosts:
                host.look()
            if seconds:
                self.pass_by(5)

    @property
    def hosted(self) -> set[str]:
        return set(self.apps.apps)


@pytest.fixture
def cluster(bench: Bench) -> Cluster:
    return Cluster(bench)


def names(*models: ModelRef) -> set[str]:
    return {hosted_name(model.fingerprint) for model in models}


def test_a_model_is_ready_once_its_application_runs(cluster: Cluster) -> None:
    host = cluster.host("a")
    host.look()
    assert (host.ready(), cluster.hosted) == (frozenset(), names(MODEL))
    cluster.all_running()
    host.look()
    assert host.ready() == {FINGERPRINT}
    assert cluster.apps.calls == [f"up {hosted_name(FINGERPRINT)}"]


def test_jobs_of_two_versions_are_hosted_side_by_side_and_the_old_one_goes_when_its_jobs_are_over(
    cluster: Cluster,
) -> None:
    """A rolling upgrade: what was submitted before it is finished by the model it was submitted with."""
    old = cluster.job(OTHER)
    cluster.job(MODEL)
    host = cluster.host("new", known=(OTHER,))
    cluster.live(host)
    assert host.ready() == {FINGERPRINT, OTHER.fingerprint}
    cluster.bench.store.cancel(old)
    cluster.live(host, seconds=GRACE_S + 5)
    assert (host.ready(), cluster.hosted) == ({FINGERPRINT}, names(MODEL))


def test_a_second_dispatcher_with_other_weights_leaves_the_first_ones_model_alone(cluster: Cluster) -> None:
    first = cluster.host("first", spare=MODEL)
    cluster.live(first)
    second = cluster.host("second", spare=OTHER)
    cluster.live(first, second, seconds=60)
    assert cluster.hosted == names(MODEL, OTHER)
    assert (first.ready(), second.ready()) == ({FINGERPRINT}, {OTHER.fingerprint})
    second.close(take_down=True)
    cluster.live(first, seconds=60)
    assert cluster.hosted == names(MODEL)
    assert [call for call in cluster.apps.calls if call.startswith("down")] == [
        f"down {hosted_name(OTHER.fingerprint)}"
    ]


def test_the_last_one_takes_a_shared_model_down(cluster: Cluster) -> None:
    hosts = [cluster.host("a"), cluster.host("b")]
    cluster.live(*hosts)
    assert cluster.apps.calls == [f"up {hosted_name(FINGERPRINT)}"]
    hosts[0].close(take_down=True)
    assert cluster.hosted == names(MODEL)
    hosts[1].close(take_down=True)
    assert cluster.hosted == set()


def test_dispatchers_of_another_database_take_nothing_away(cluster: Cluster, tmp_path: Path) -> None:
    """Two databases, one cluster, the same weights: neither knows of the other's rows."""
    engine = create_database_engine(f"sqlite:///{tmp_path / 'other.db'}")
    upgrade(engine)
    other = Cluster(Bench(engine))
    other.apps = MemoryApps("d2", cluster.apps)
    one, two = cluster.host("one"), other.host("two")
    for _ in range(2):
        cluster.live(one)
        other.live(two)
    two.close(take_down=True)
    assert cluster.hosted == names(MODEL)
    cluster.live(one, seconds=60)
    assert one.ready() == {FINGERPRINT}
    again = other.host("again")
    other.live(again)
    one.close(take_down=True)
    assert cluster.hosted == {hosted_name(FINGERPRINT, "d2")}
    engine.dispose()


def test_what_a_killed_dispatcher_hosted_goes_once_its_lease_is_over(cluster: Cluster) -> None:
    killed, lives = cluster.host("killed", spare=OTHER), cluster.host("lives")
    cluster.live(killed, lives)
    cluster.live(lives, seconds=LEASE_S - 10)
    assert cluster.hosted == names(MODEL, OTHER)
    cluster.live(lives, seconds=10 + GRACE_S + 5)
    assert cluster.hosted == names(MODEL)


def test_what_a_killed_dispatcher_hosted_stays_while_jobs_need_it(cluster: Cluster) -> None:
    killed, lives = cluster.host("killed", spare=OTHER), cluster.host("lives", known=(OTHER,))
    cluster.job(OTHER)
    cluster.live(killed, lives)
    cluster.live(lives, seconds=LEASE_S + GRACE_S + 10)
    assert lives.ready() == {FINGERPRINT, OTHER.fingerprint}
    assert cluster.apps.calls.count(f"up {hosted_name(OTHER.fingerprint)}") == 1


def test_an_application_that_somebody_took_away_is_brought_up_again(cluster: Cluster) -> None:
    host = cluster.host("a")
    cluster.live(host)
    cluster.apps.set(FINGERPRINT, AppState.GOING)
    host.look()
    assert host.ready() == frozenset()
    cluster.apps.apps.clear()
    cluster.live(host)
    assert host.ready() == {FINGERPRINT}


def test_a_replica_that_is_replaced_makes_nobody_wait(cluster: Cluster) -> None:
    host = cluster.host("a")
    cluster.live(host)
    for state in (AppState.ILL, AppState.STARTING):
        cluster.apps.set(FINGERPRINT, state)
        host.look()
        assert host.ready() == {FINGERPRINT}


def test_a_model_that_cannot_be_started_is_told_and_tried_again_later(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    host = cluster.host("a")
    host.look()
    cluster.apps.set(FINGERPRINT, AppState.FAILED, "no such file")
    for _ in range(3):
        host.look()
    assert host.ready() == frozenset()
    assert cluster.register.obstacles([FINGERPRINT]) == {FINGERPRINT: "its model could not be started: no such file"}
    assert caplog.text.count("no such file") == 1
    assert len(cluster.apps.calls) == 1
    cluster.pass_by(AGAIN_S + 1)
    cluster.live(host)
    assert host.ready() == {FINGERPRINT}


def test_jobs_of_a_model_that_nobody_knows_wait_and_say_why(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    cluster.job(OTHER)
    host = cluster.host("a")
    cluster.live(host, seconds=60)
    assert host.ready() == {FINGERPRINT}
    assert cluster.register.obstacles([OTHER.fingerprint, FINGERPRINT]) == {OTHER.fingerprint: "weights not known"}
    assert caplog.text.count("jobs of model cdcdcdcdcdcd wait: weights not known") == 1


def test_a_more_urgent_model_waits_for_room_until_shards_under_way_are_over(cluster: Cluster) -> None:
    cluster.job(MODEL)
    host = cluster.host("a", known=(OTHER,), most=1)
    cluster.live(host)
    (lease,) = cluster.bench.queue().claim(1, 1000, fingerprints=host.ready())
    cluster.job(OTHER, priority=5)
    cluster.live(host, seconds=60)
    assert (host.ready(), cluster.hosted) == (frozenset(), names(MODEL))  # nothing new is begun, what is goes on
    cluster.bench.queue().release(lease)
    cluster.live(host, seconds=GRACE_S + 5)
    assert (host.ready(), cluster.hosted) == ({OTHER.fingerprint}, names(OTHER))


def test_rows_are_renewed_before_they_run_out_and_not_at_every_look(cluster: Cluster) -> None:
    host = cluster.host("a")
    cluster.live(host)
    writes = []
    renew = cluster.register.renew
    cluster.register.renew = lambda *args: (writes.append(cluster.now), renew(*args))[1]  # type: ignore[assignment]
    for _ in range(int(2 * LEASE_S)):
        cluster.pass_by(1)
        host.look()
        assert cluster.register.held("c1") == {FINGERPRINT}
    assert len(writes) <= 7


def test_the_one_before_stands_in_until_the_new_champion_answers(bench: Bench) -> None:
    """A promotion while nothing runs: at every look one of both is ready, and afterwards the new one alone."""
    cluster = Cluster(bench)
    serving = [MODEL.fingerprint]
    host = ModelHost(
        apps=cluster.apps,
        register=cluster.register,
        jobs=bench.store,
        versions=KnownVersions(MODEL.fingerprint, OTHER.fingerprint),
        cluster="c1",
        dispatcher="only",
        most=2,
        spare=lambda: serving,
        clock=lambda: cluster.now,
    )
    cluster.live(host)
    assert host.ready() == {MODEL.fingerprint}
    assert cluster.register.ready([MODEL.fingerprint, OTHER.fingerprint]) == {MODEL.fingerprint}
    serving = [OTHER.fingerprint, MODEL.fingerprint]
    for _ in range(20):  # it takes long to start
        host.look()
        assert host.ready() == {MODEL.fingerprint}
        cluster.pass_by(5)
    cluster.all_running()
    host.look()
    assert OTHER.fingerprint in host.ready()
    for _ in range(6):
        cluster.pass_by(5)
        host.look()
        assert OTHER.fingerprint in host.ready()
    assert host.ready() == {OTHER.fingerprint}
    assert cluster.register.ready([MODEL.fingerprint, OTHER.fingerprint]) == {OTHER.fingerprint}
    assert cluster.apps.name(MODEL.fingerprint) not in cluster.apps.found()


def test_a_cluster_that_says_nothing_is_told_of(bench: Bench) -> None:
    """Ray itself ends a program whose cluster is gone, but not where another one has come to its address."""
    cluster = Cluster(bench)
    host = cluster.host("d1")
    session = Session(dispatcher=None, silent_s=lambda: host.silent_s)  # type: ignore[arg-type]
    host.look()
    cluster.now += MAX_SILENCE_S - 1
    session.check()
    host.look()
    cluster.now += MAX_SILENCE_S - 1
    session.check()
    cluster.apps.found = _gone  # type: ignore[method-assign]
    cluster.now += 2
    with pytest.raises(ConnectionError):
        host.look()
    with pytest.raises(ClusterLost, match="has not answered for 181 s"):
        session.check()


def _gone() -> NoReturn:
    raise ConnectionError
