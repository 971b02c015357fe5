"""Training workers and replicas lie where their labels say, on a cluster of two nodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from support.flow_program import wait_until
from support.ray_clusters import cluster_of
from support.tiny_model import save_tiny_model
from support.training_material import recipe, write_source

from ncl_model.distributed.launch import Workers, train_on_ray
from ncl_model.distributed.node_labels import has_labels, parse_labels
from ncl_model.distributed.run_place import RunPlace
from ncl_model.errors import ConfigInvalid
from nclscreen.hosting.applications import AppState, ServeApps
from nclscreen.hosting.ray_connection import connected_ray
from nclscreen.services.health import ray_cluster
from nclscreen.settings import Settings
from nclscreen.wiring import Wiring

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),  # Ray's own
]


@pytest.fixture(scope="module")
def wiring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wiring]:
    """Of a cluster whose second node has a label, as has that of the replicas."""
    folder = tmp_path_factory.mktemp("labels")
    with cluster_of({"num_cpus": 2}, {"num_cpus": 2, "labels": {"zone": "b"}}) as cluster:
        found = Wiring(
            Settings(
                home=folder,
                ray_address=cluster.address,
                weights=save_tiny_model(folder / "tiny.safetensors"),
                replica_labels="zone=in(b,c)",
            )
        )
        yield found
        found.engine.dispose()


def node_of(kind: str) -> set[str]:
    """The nodes on which actors of this class live."""
    from ray._private.state import actors

    found: list[dict[str, Any]] = list(actors().values())
    return {each["Address"]["NodeID"] for each in found if kind in each["ActorClassName"] and each["State"] == "ALIVE"}


def labelled() -> set[str]:
    return {node["NodeID"] for node in ray.nodes() if node["Labels"].get("zone") == "b"}


@pytest.mark.parametrize("wanted", ["zone=b", "zone=!b", "zone=in(a,b)", "zone=!in(a,b)"])
def test_ray_means_by_a_label_what_we_do(wiring: Wiring, wanted: str) -> None:
    labels = parse_labels(wanted)
    with connected_ray(wiring.ray_options()):

        def where() -> str:
            return str(ray.get_runtime_context().get_node_id())

        found = ray.get(ray.remote(num_cpus=0.1, label_selector=labels)(where).remote(), timeout=60)
        assert {found} == {node["NodeID"] for node in ray.nodes() if has_labels(node["Labels"], labels)}


def test_training_runs_where_its_labels_say_and_nowhere_else(wiring: Wiring, tmp_path: Path) -> None:
    source, seen = write_source(tmp_path / "set"), set[str]()
    with connected_ray(wiring.ray_options()):
        with pytest.raises(ConfigInvalid, match="no node of the cluster is one with zone=c"):
            train_on_ray(recipe(steps=2), [source], RunPlace(path=str(tmp_path / "no")), Workers(labels={"zone": "c"}))
        workers = Workers(count=2, labels={"zone": "b"}, timeout_s=60)
        place = RunPlace(path=str(tmp_path / "run"))
        assert train_on_ray(
            recipe(steps=2), [source], place, workers, noted=lambda notice: seen.update(node_of("RayTrainWorker"))
        )
        assert seen == labelled()


def test_replicas_run_where_their_labels_say(wiring: Wiring) -> None:
    apps = ServeApps(wiring.hosting_options(), wiring.database)
    fingerprint = wiring.model.fingerprint
    with connected_ray(wiring.ray_options()):
        apps.bring_up(wiring.versions.version(fingerprint))
        name = apps.name(fingerprint)
        wait_until(lambda: (app := apps.found().get(name)) is not None and app.state is AppState.RUNNING, "the model")
        assert node_of("Localizer") == labelled()
        apps.take_down([name], wait=True)
    assert "2 node(s)" in ray_cluster(wiring)
