"""Training whose nodes come and go: it goes on with fewer workers, from its last saved state."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.ray_clusters import cluster_of
from support.training_material import recipe, write_source

from ncl_model.distributed.board import make_board
from ncl_model.distributed.launch import Workers, train_on_ray
from ncl_model.distributed.run_place import RunPlace
from ncl_model.errors import ConfigInvalid, TrainingDiverged
from ncl_model.inference.checkpoint import load_checkpoint
from ncl_model.losses.objective import LossConfig
from ncl_model.training.plain import Place, train
from ncl_model.training.run_log import read_metrics
from nclscreen.hosting.ray_connection import RayOptions, connected_ray

pytestmark = pytest.mark.cluster

STEPS = 8
#: plain SGD: AdamW turns the last bits of a gradient into whole steps
RECIPE = recipe(
    steps=STEPS, optimizer="sgd", learning_rate=0.02, save_minutes=0.0, validate_minutes=9.0, seed=1,
    loss=LossConfig(mu=0.3, omega=0.05, warmup_steps=0),
)  # fmt: skip


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head with room for one worker, and a node with room for two."""
    monkeypatch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "10")  # a node that is not missed yet is waited for
    with (
        cluster_of({"num_cpus": 1}, {"num_cpus": 2}) as found,
        connected_ray(RayOptions(address=found.address, needed_cpus=3)),
    ):
        yield found


def test_a_node_that_is_killed_costs_a_worker_and_not_the_run(cluster: Any, tmp_path: Path) -> None:
    """Up to four workers; three find a place, two of which share a batch of four, then one.

    Every step is done once, with the losses of an unbroken run of the plain loop.
    """
    source = write_source(tmp_path / "set")
    (second,) = cluster.worker_nodes
    killed: list[int] = []

    def kill(notice: dict[str, Any]) -> None:
        if not killed and notice.get("step", 0) >= 2:
            killed.append(notice["step"])
            cluster.remove_node(second, allow_graceful=False)

    run, plain = tmp_path / "run", tmp_path / "plain"
    workers = Workers(least=1, count=4, max_failures=2, timeout_s=60)
    assert train_on_ray(RECIPE, [source], RunPlace(path=str(run)), workers, noted=kill)
    assert killed
    assert killed[0] < STEPS
    events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    starts = [event for event in events if event["event"] == "start"]
    told = [(event["device"].rpartition(", ")[2], event["look_on"]) for event in starts]
    assert told == [("2 workers", 1), ("1 workers", 0)]
    assert starts[1]["resumed"]
    assert starts[1]["step"] >= killed[0]
    rows = [row for row in read_metrics(run / "metrics.csv") if "loss" in row]
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert load_checkpoint(run / "weights.safetensors").provenance["workers"] == 1
    assert train(RECIPE, [source], plain, Place(device="cpu", tensorboard=False))
    # sums are added in another order, and a kink of a ReLU may tip; another batch's loss is 3e-3 away and more
    unbroken = [row["loss"] for row in read_metrics(plain / "metrics.csv") if "loss" in row]
    assert [row["loss"] for row in rows] == pytest.approx(unbroken, rel=2e-3)


@pytest.mark.timeout(300)
def test_a_run_that_diverges_ends_also_for_who_looks_on(cluster: Any, tmp_path: Path) -> None:
    """Two share the batch and find out; the third would wait for their next step until it counts as lost."""
    source = write_source(tmp_path / "set")
    wild = recipe(steps=60, optimizer="sgd", learning_rate=10.0, head_factor=100, warmup_steps=0)
    workers = Workers(least=1, count=4, max_failures=1, timeout_s=600)
    with pytest.raises(TrainingDiverged, match="20 steps in a row"):
        train_on_ray(wild, [source], RunPlace(path=str(tmp_path / "run")), workers)
    assert not (tmp_path / "run" / "weights.safetensors").exists()


def test_what_a_changing_number_cannot_do_is_refused_before_anything_starts(cluster: Any, tmp_path: Path) -> None:
    source, place = write_source(tmp_path / "set"), RunPlace(path=str(tmp_path / "run"))
    with pytest.raises(ConfigInvalid, match="4 cannot be shared by 5 workers; take a multiple of 5"):
        train_on_ray(RECIPE, [source], place, Workers(least=1, count=5))
    with pytest.raises(ConfigInvalid, match="one number of workers"):
        train_on_ray(RECIPE, [source], place, Workers(least=1, count=2, labels={"zone": "!b"}))


def test_what_the_workers_tell_lies_where_the_run_is_followed_and_is_not_lost_with_another_node(cluster: Any) -> None:
    import ray
    from ray._private.state import actors

    boards = [make_board() for _ in range(8)]
    ray.get([board.read.remote() for board in boards])
    where = {each["Address"]["NodeID"] for each in actors().values() if each["ActorClassName"] == "Notices"}
    assert where == {ray.get_runtime_context().get_node_id()}
