"""The thread that looks after the models: when it begins, what it survives, and how it ends."""

from __future__ import annotations

import threading

import pytest
from support.builders import FINGERPRINT, MODEL, Bench, entries, ready_job
from support.dispatching import wait_until
from support.hosting import KnownVersions, MemoryApps, hosted_name

from jobs.domain import JobId, ModelRef
from jobs.registry.hosted_models import HostedModels
from nclscreen import interrupts
from nclscreen.hosting import hosting_thread
from nclscreen.hosting.applications import App, AppState
from nclscreen.hosting.hosting_thread import hosting
from nclscreen.hosting.model_host import HostingFailed, ModelHost

OTHER = ModelRef(name="other", fingerprint="cd" * 32)


class QuickApps(MemoryApps):
    """Applications that run, or fail, at once; now and then the cluster does not answer."""

    def __init__(self, state: AppState = AppState.RUNNING) -> None:
        super().__init__()
        self._state = state
        self.silent = threading.Event()

    def found(self) -> dict[str, App]:
        if self.silent.is_set():
            raise ConnectionError("the head is busy")
        return {name: App(state=self._state, message="no weights") for name in self.apps}


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting_thread, "_LOOK_S", 0.01)


def host(bench: Bench, apps: MemoryApps, *, only_job: JobId | None = None) -> ModelHost:
    return ModelHost(
        apps=apps,
        register=HostedModels(bench.engine, bench.clock),
        jobs=bench.store,
        versions=KnownVersions(FINGERPRINT),
        cluster="c1",
        dispatcher="a",
        most=2,
        spare=lambda: [] if only_job else [MODEL.fingerprint],
        only_job=only_job,
    )


def test_it_begins_with_a_model_that_answers_and_ends_without_one(bench: Bench) -> None:
    apps, register = QuickApps(), HostedModels(bench.engine, bench.clock)
    with hosting(host(bench, apps), take_down=True) as models:
        assert models.ready() == {FINGERPRINT}
        assert register.held("c1") == {FINGERPRINT}
    assert models.ready() == frozenset()
    assert register.held("c1") == set()
    assert apps.calls == [f"up {hosted_name(FINGERPRINT)}", f"down {hosted_name(FINGERPRINT)}"]


def test_a_ray_of_our_own_ends_with_everything_on_it(bench: Bench) -> None:
    apps = QuickApps()
    with hosting(host(bench, apps), take_down=False):
        pass
    assert apps.calls == [f"up {hosted_name(FINGERPRINT)}"]


def test_a_model_that_cannot_be_started_is_told_at_once(bench: Bench) -> None:
    register = HostedModels(bench.engine, bench.clock)
    with (
        pytest.raises(HostingFailed, match="its model could not be started: no weights"),
        hosting(host(bench, QuickApps(AppState.FAILED)), take_down=True),
    ):
        pass
    assert register.obstacles([FINGERPRINT]) == {}


def test_a_single_job_whose_model_is_not_known_is_not_begun(bench: Bench) -> None:
    job_id = ready_job(bench.engine, entries(1), model=OTHER)
    with (
        pytest.raises(HostingFailed, match="weights not known"),
        hosting(host(bench, QuickApps(), only_job=job_id), take_down=True),
    ):
        pass


def test_a_cluster_that_does_not_answer_for_a_while_is_waited_for(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    apps = QuickApps()
    with hosting(host(bench, apps), take_down=True):
        apps.silent.set()
        wait_until(lambda: "what hosts the models is away" in caplog.text)
        ready_job(bench.engine, entries(1))
        apps.apps.clear()
        apps.silent.clear()
        wait_until(lambda: apps.calls.count(f"up {hosted_name(FINGERPRINT)}") == 2)
    assert caplog.text.count("ConnectionError: the head is busy") == 1


@pytest.mark.parametrize("already", [True, False], ids=["while it runs", "while it starts"])
def test_a_ray_that_does_not_answer_does_not_keep_it_from_ending(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, already: bool
) -> None:
    monkeypatch.setattr(hosting_thread, "_LAST_LOOK_S", 0.05)
    monkeypatch.setattr(hosting_thread, "_CLOSE_S", 0.05)
    apps, forever = QuickApps(), threading.Event()
    monkeypatch.setattr(interrupts, "_terminated", threading.Event())

    def mute() -> dict[str, App]:
        asked.set()
        forever.wait()
        return {}

    asked = threading.Event()
    try:
        if already:
            with hosting(host(bench, apps), take_down=True):
                monkeypatch.setattr(apps, "found", mute)
                assert asked.wait(10)
        else:
            monkeypatch.setattr(apps, "found", mute)
            threading.Timer(0.1, interrupts._terminated.set).start()
            with pytest.raises(interrupts.Terminated), hosting(host(bench, apps), take_down=True):
                pass
    finally:
        forever.set()
