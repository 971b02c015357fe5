"""Heatmaps of a cluster lie in one place, and a late one lies over no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.builders import lease

from jobs.domain import ImageKey, ShardId
from jobs.errors import JobsError
from jobs.screening.heatmaps import StoredHeatmaps, decode_heatmap
from jobs.storage import FolderStorage, MemoryStorage
from nclscreen.hosting import node_checks
from nclscreen.hosting.node_checks import look_from_here
from nclscreen.services import health
from nclscreen.services.heatmap_place import HeatmapsNotShared, check_heatmap_place
from nclscreen.settings import Settings
from nclscreen.wiring import Wiring


def test_a_late_worker_writes_over_no_heatmap_that_counts() -> None:
    """Found 8: both wrote ORDINAL.png, and the later one won, whoever held the shard. Halves of a shard count anew."""
    storage = MemoryStorage()
    maps = StoredHeatmaps(storage)
    counts = maps.save(lease([], fence=2), 7, np.full((4, 4), 200, np.uint8))
    maps.save(lease([], fence=1), 7, np.zeros((4, 4), np.uint8))
    maps.save(lease([], fence=2, shard_id=ShardId(9)), 7, np.zeros((4, 4), np.uint8))
    kept = storage.read(ImageKey(counts.removeprefix(f"{storage.container}/")))
    assert decode_heatmap(kept).min() == 200
    assert maps.serves(counts)


@pytest.mark.parametrize(
    ("fields", "nodes", "refused"),
    [
        ({}, 2, True),
        ({"heatmaps_uri": "/mnt/maps"}, 5, True),
        ({}, 1, False),
        ({"heatmaps_shared": True}, 2, False),
        ({"heatmaps": "none"}, 2, False),
        ({"heatmaps_uri": "s3://maps/x"}, 2, False),
    ],
    ids=str,
)
def test_a_folder_on_a_cluster_has_to_be_said_to_be_shared(
    fields: dict[str, object], nodes: int, refused: bool
) -> None:
    settings = Settings(**fields)  # type: ignore[arg-type]
    if not refused:
        check_heatmap_place(settings, nodes)
        return
    with pytest.raises(HeatmapsNotShared, match="NCLSCREEN_HEATMAPS_SHARED=true"):
        check_heatmap_place(settings, nodes)


def test_what_a_node_sees_of_the_place(tmp_path: Path) -> None:
    ours, theirs = (FolderStorage.at(tmp_path / name) for name in ("ours", "theirs"))
    ours.write(ImageKey("maps/doctor.txt"), b"today", content_type="text/plain")
    assert look_from_here(ours, "maps/", b"today", "n1") is None
    assert (tmp_path / "ours/maps/doctor-n1.txt").exists()
    assert "doctor.txt" in (look_from_here(theirs, "maps/", b"today", "n1") or "")
    theirs.write(ImageKey("maps/doctor.txt"), b"of last week", content_type="text/plain")
    assert look_from_here(theirs, "maps/", b"today", "n1") == "another place than ours lies there"


def test_the_doctor_names_the_nodes_that_have_another_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import nullcontext

    from nclscreen.hosting import ray_connection

    wiring = Wiring(Settings(home=tmp_path, ray_address="10.0.0.1:6379", heatmaps_shared=True))
    monkeypatch.setattr(ray_connection, "connected_ray", lambda options: nullcontext())
    found: dict[str, str | None] = {"10.0.0.1 (a)": None, "10.0.0.2 (b)": "no such file"}
    monkeypatch.setattr(health, "look_from_every_node", lambda uri, s3, wanted: found)
    with pytest.raises(JobsError, match=r"1 of 2 nodes cannot use .*: 10\.0\.0\.2 \(b\): no such file"):
        health.heatmaps_from_nodes(wiring)
    found["10.0.0.2 (b)"] = None
    assert "each of 2 node(s)" in health.heatmaps_from_nodes(wiring)
    assert "nodes" in [check.part for check in health.health_checks(wiring)]
    assert "nodes" not in [check.part for check in health.health_checks(Wiring(Settings(home=tmp_path)))]


def test_who_cannot_be_asked_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent:
        def get(self, ref: object, timeout: float) -> None:
            raise TimeoutError("no answer")

    assert node_checks._answer(Silent(), object()) == "no worker could look: TimeoutError: no answer"
