"""Training on a real local Ray: as the plain loop does it, also when workers are killed or the run is stopped."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from support.servers.s3_server import S3Bucket
from support.training_material import recipe, write_source

from jobs.domain import ImageKey
from jobs.storage import open_storage
from ncl_model.distributed.launch import Workers, train_on_ray, unseen_by
from ncl_model.distributed.run_place import RunPlace
from ncl_model.errors import ConfigInvalid, DatasetInvalid
from ncl_model.inference.checkpoint import load_checkpoint
from ncl_model.losses.objective import LossConfig
from ncl_model.training.plain import Place, train
from ncl_model.training.recipe import TrainConfig
from ncl_model.training.run_files import RunFiles
from ncl_model.training.run_log import read_metrics
from nclscreen.hosting.ray_connection import RayOptions, connected_ray
from nclscreen.run_storage import run_place

pytestmark = pytest.mark.cluster

#: plain SGD: AdamW turns the last bits of a gradient into whole steps
RECIPE = recipe(
    steps=5, optimizer="sgd", learning_rate=0.02, save_minutes=0.0, validate_minutes=9.0, seed=1,
    loss=LossConfig(mu=0.3, omega=0.05, warmup_steps=0),
)  # fmt: skip


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("data") / "set")


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest) -> Iterator[None]:
    """A local Ray whose Train looks often whether its workers live, and that may use the storage."""
    try:
        env = request.getfixturevalue("s3_server").env
    except pytest.skip.Exception:  # no store on this machine: its own test is left out, not all of them
        env = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        patch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
        patch.setenv("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
        with connected_ray(RayOptions(address=None, needed_cpus=4)):
            yield


@pytest.fixture(scope="module")
def unbroken(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """What the plain loop gives."""
    out = tmp_path_factory.mktemp("plain")
    assert train(RECIPE, [source], out, Place(device="cpu", tensorboard=False))
    return module(out)


def module(out: Path) -> dict[str, torch.Tensor]:
    state = RunFiles(out=out).load_state()
    assert state is not None
    return {**state["module"], **{f"average.{n}": t for n, t in state["average"].items()}}


def apart(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    """Largest difference of a tensor, as a share of its largest value."""
    assert a.keys() == b.keys()
    return max(float((a[n].double() - b[n]).abs().max() / a[n].abs().max().clamp_min(1e-2)) for n in a)


def test_a_killed_worker_costs_nothing(
    cluster: None, source: Path, tmp_path: Path, unbroken: dict[str, torch.Tensor]
) -> None:
    """Two workers, one of them killed in the middle: the same steps, and the weights of the plain loop to 1e-3."""
    killed: list[int] = []

    def kill(notice: dict[str, Any]) -> None:
        if not killed and notice.get("step", 0) >= 2:
            workers = [
                p for p in psutil.Process().children(recursive=True) if "RayTrainWorker" in " ".join(p.cmdline())
            ]
            killed.append(workers[-1].pid)
            os.kill(workers[-1].pid, signal.SIGKILL)

    workers = Workers(count=2, max_failures=1, timeout_s=60)
    assert train_on_ray(RECIPE, [source], RunPlace(path=str(tmp_path)), workers, noted=kill)
    assert killed
    checkpoint = load_checkpoint(tmp_path / "weights.safetensors")
    assert checkpoint.provenance["steps"] == 5
    assert checkpoint.provenance["workers"] == 2
    assert "pixel_auc" in checkpoint.metrics["validation"]
    assert apart(unbroken, module(tmp_path)) < 1e-3
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.csv") if "loss" in row] == [1, 2, 3, 4, 5]
    assert (tmp_path / "log.jsonl").read_text().count('"event": "start"') == 2
    assert (tmp_path / "curves.png").stat().st_size > 0


def test_a_stopped_run_goes_on_where_it_was(
    cluster: None, source: Path, tmp_path: Path, unbroken: dict[str, torch.Tensor]
) -> None:
    """One worker on Ray is the plain loop, bit for bit, also in two sittings, the second of them without Ray."""
    seen: list[int] = []

    def noted(notice: dict[str, Any]) -> None:
        seen.append(notice.get("step", 0))

    slow = RECIPE.with_budget(steps=400)
    place, workers = RunPlace(path=str(tmp_path)), Workers(timeout_s=60)
    assert not train_on_ray(slow, [source], place, workers, noted=noted, stop=lambda: max(seen, default=0) >= 1)
    state = RunFiles(out=tmp_path).load_state()
    assert state is not None
    stopped = state["step"]
    assert 1 <= stopped < 400
    longer = RECIPE.with_budget(steps=stopped + 1)
    assert train_on_ray(longer, [source], place, workers)
    state = RunFiles(out=tmp_path).load_state()
    assert state is not None
    assert state["step"] == stopped + 1
    before = (tmp_path / "weights.safetensors").read_bytes()
    assert train(longer, [source], tmp_path, Place(device="cpu", tensorboard=False))  # finished: the plain loop sees it
    assert (tmp_path / "weights.safetensors").read_bytes() == before


def test_what_is_wrong_with_the_data_is_told_as_by_the_plain_loop(cluster: None, tmp_path: Path) -> None:
    source = write_source(tmp_path / "set")
    (source / "4.jpg").write_bytes(b"no picture")
    with pytest.raises(DatasetInvalid, match=r"4\.jpg"):
        train_on_ray(RECIPE, [source], RunPlace(path=str(tmp_path / "run")), Workers(timeout_s=60, max_failures=1))


@pytest.mark.s3
def test_a_run_is_kept_in_a_bucket(cluster: None, source: Path, tmp_path: Path, s3_bucket: S3Bucket) -> None:
    """Two sittings; between them everything is in the bucket alone."""
    out = f"{s3_bucket.container}/models/run 1"
    place, workers = run_place(out, s3_bucket.options), Workers(timeout_s=60)
    seen: list[dict[str, Any]] = []
    assert train_on_ray(RECIPE.with_budget(steps=2), [source], place, workers)
    assert train_on_ray(RECIPE, [source], place, workers, noted=seen.append)
    assert seen[-1]["step"] == 5
    storage = open_storage(s3_bucket.container, s3_bucket.options)

    def fetch(name: str) -> Path:
        path = tmp_path / name
        path.write_bytes(storage.read(ImageKey(f"models/run 1/{name}"), max_bytes=100_000_000))
        return path

    assert [row["step"] for row in read_metrics(fetch("metrics.csv")) if "loss" in row] == [1, 2, 3, 4, 5]
    assert load_checkpoint(fetch("weights.safetensors")).provenance["steps"] == 5
    assert fetch("log.jsonl").read_text().count('"event": "start"') == 2
    assert fetch("curves.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_is_refused_before_anything_starts(cluster: None, source: Path, tmp_path: Path) -> None:
    place = RunPlace(path=str(tmp_path))
    with pytest.raises(ConfigInvalid, match="4 cannot be shared by 3 workers"):
        train_on_ray(RECIPE, [source], place, Workers(count=3))
    with pytest.raises(ConfigInvalid, match="need a GPU each"):
        train_on_ray(TrainConfig.load("smoke"), [source], place, Workers(count=2, gpu=True))


def test_a_folder_that_other_nodes_do_not_see_is_noticed(cluster: None, tmp_path: Path) -> None:
    assert unseen_by(tmp_path / "shared") == []
    # a path that means something in this process alone
    assert len(unseen_by(Path(f"/proc/self/task/{os.getpid()}/cwd") / os.path.relpath(tmp_path))) == 1
