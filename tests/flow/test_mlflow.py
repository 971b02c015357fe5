"""Copies at a real MLflow server that comes late, and is killed in the middle: everything is there once."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.ended_runs import Loop
from support.flow_program import wait_until
from support.servers.mlflow_server import MlflowServer

from jobs.domain.registry import Alias
from jobs.mirroring.mirror_queue import Behind
from jobs.testing import MovableClock
from nclscreen.services import mirroring
from nclscreen.services.mirroring import mirror_queue, mirror_state, mirror_work, mlflow_of
from nclscreen.settings import Settings
from nclscreen.wiring import Wiring

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),  # of MLflow's client
]
VERSIONS = [f"{number:02x}" * 32 for number in range(16)]
NOTHING = Behind(runs=0, versions=0, moves=0, given_up=0, why=None)


@pytest.fixture
def wiring(tmp_path: Path, mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wiring]:
    """Names a server that is not there yet; what has to wait waits for a moment."""
    monkeypatch.setattr(mirroring, "AWAY_S", 0.2)
    monkeypatch.setattr(mirroring, "_EVERY_S", 0.0)
    found = Wiring(Settings(home=tmp_path, mlflow_tracking_uri=mlflow_server.url, mlflow_experiment_name=tmp_path.name))
    yield found
    found.engine.dispose()


@pytest.fixture
def loop(wiring: Wiring) -> Loop:
    return Loop(wiring.engine, MovableClock())


class Copying:
    """A dispatcher, as far as it copies."""

    def __init__(self, wiring: Wiring) -> None:
        (self._task,) = mirror_work(wiring)
        self._queue = mirror_queue(wiring)
        self.stop = threading.Event()

    def missing(self) -> int:
        behind = self._queue.behind()
        return behind.runs + behind.versions + behind.moves

    def until_done(self) -> None:
        """Or told to stop."""
        while not self.stop.is_set() and self._queue.behind() != NOTHING:
            if not self._task.step(self.stop):
                self.stop.wait(0.05)


def there(wiring: Wiring) -> dict[str, Any]:
    """What the server has, asked with its own client."""
    from mlflow import MlflowClient

    client, name = MlflowClient(wiring.settings.mlflow_tracking_uri), wiring.settings.mlflow_experiment_name
    experiment = client.get_experiment_by_name(name)
    runs = client.search_runs([experiment.experiment_id])
    versions = client.search_model_versions(f"name = '{name}'")
    return {
        "runs": Counter(run.data.tags["nclscreen.run"] for run in runs),
        "states": {(run.info.status, run.data.tags["nclscreen.state"]) for run in runs},
        "curves": [
            [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, "training/loss")]
            for run in runs
        ],
        "versions": Counter(version.tags["nclscreen.fingerprint"] for version in versions),
        "linked": all(version.run_id in {run.info.run_id for run in runs} for version in versions),
        "champion": client.get_model_version_by_alias(name, "champion").tags["nclscreen.fingerprint"],
        "moves": len(client.get_registered_model(name).tags),
    }


def check(wiring: Wiring, loop: Loop) -> None:
    """Everything that SQL has is there, once."""
    runs, moves = loop.runs.latest(100), loop.registry.history(Alias.CHAMPION)
    found = there(wiring)
    assert found["runs"] == Counter({run.id: 1 for run in runs})
    assert found["states"] == {("FINISHED", "promoted")}
    assert found["curves"] == [[(10, 0.7), (20, 0.5)]] * len(runs)
    assert found["versions"] == Counter({run.fingerprint: 1 for run in runs})
    assert found["linked"]
    assert found["champion"] == moves[-1].fingerprint
    assert found["moves"] == len(moves)


def test_what_ended_before_the_server_came_is_copied_and_rollbacks_follow(
    wiring: Wiring, loop: Loop, mlflow_server: MlflowServer, capfd: pytest.CaptureFixture[str]
) -> None:
    for fingerprint in VERSIONS[:2]:
        loop.promoted(fingerprint)
    copying = Copying(wiring)
    copying._task.step(copying.stop)
    behind = mirror_queue(wiring).behind()
    assert (behind.runs, behind.versions, behind.moves) == (2, 2, 2)
    assert "refused" in (behind.why or "")
    mlflow_server.start()
    copying.until_done()
    assert capfd.readouterr() == ("", ""), "the client prints nothing"
    check(wiring, loop)
    loop.registry.roll_back(Alias.CHAMPION, actor="ann")
    copying.until_done()
    check(wiring, loop)
    mirror = mlflow_of(wiring)
    assert mirror is not None
    assert mirror_state(wiring, mirror).endswith("everything is copied")


def test_a_server_that_is_killed_again_and_again_has_everything_once_in_the_end(
    wiring: Wiring, loop: Loop, mlflow_server: MlflowServer
) -> None:
    """Two dispatchers copy meanwhile."""
    for fingerprint in VERSIONS:
        loop.promoted(fingerprint)
    dispatchers = [Copying(wiring) for _ in range(2)]
    threads = [threading.Thread(target=each.until_done) for each in dispatchers]
    moments = random.Random(7)
    for thread in threads:
        thread.start()
    try:
        for round_ in range(3):
            mlflow_server.start()
            wait_until(lambda: dispatchers[0].missing() < 3 * len(VERSIONS), "the first copies")
            threads[0].join(moments.uniform(0, 0.3))
            mlflow_server.kill()
            assert round_ or dispatchers[0].missing(), "it was killed before it had everything"
        mlflow_server.start()
        for thread in threads:
            thread.join(120)
    finally:
        for each in dispatchers:
            each.stop.set()
        for thread in threads:
            thread.join(30)
    assert mirror_queue(wiring).behind() == NOTHING
    check(wiring, loop)
