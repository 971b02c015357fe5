"""A cluster of two nodes: a folder is refused as the place of heatmaps, and `doctor` looks from both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ray_clusters import cluster_of

from nclscreen.services import health
from nclscreen.services.heatmap_place import HeatmapsNotShared
from nclscreen.services.session import running_session
from nclscreen.settings import Settings
from nclscreen.wiring import Wiring


@pytest.fixture
def address() -> Iterator[str]:
    with cluster_of({"num_cpus": 1}, {"num_cpus": 1}) as cluster:
        yield cluster.address


def test_two_nodes_and_a_folder(address: str, tmp_path: Path) -> None:
    fields = {"home": tmp_path, "ray_address": address, "replica_cpus": 0.5, "shard_cpus": 0.5}
    wiring = Wiring(Settings(**fields))  # type: ignore[arg-type]
    with pytest.raises(HeatmapsNotShared), running_session(wiring):
        pass
    with pytest.raises(HeatmapsNotShared):
        health.heatmaps_from_nodes(wiring)
    shared = Wiring(Settings(**fields, heatmaps_shared=True))  # type: ignore[arg-type]
    assert "each of 2 node(s)" in health.heatmaps_from_nodes(shared)
    assert len(list((tmp_path / "heatmaps").glob("doctor-*.txt"))) == 2
