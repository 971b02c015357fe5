"""The training loop on Ray Train: any number of workers and nodes, CPUs (gloo) or GPUs (NCCL).

A worker that dies takes the group down with it; Ray starts the group again, and it goes on from the last saved
state. The same call with the same place goes on with an interrupted run. Needs a connected Ray.
"""

from __future__ import annotations

import math
import uuid
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
from ray.train.torch import TorchConfig, TorchTrainer
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ncl_model.data.datasets import find_sources
from ncl_model.distributed.board import make_board
from ncl_model.distributed.node_labels import has_labels, in_words
from ncl_model.distributed.run_place import RunPlace
from ncl_model.distributed.worker import Orders, work
from ncl_model.distributed.worker_count import WorkerCount
from ncl_model.errors import ConfigInvalid, TrainingFailed
from ncl_model.training.loop import never
from ncl_model.training.recipe import TrainConfig
from ncl_model.training.run_recorder import unheard
from ncl_model.writing import sole_writer

#: Ray's own files of a run, below its place
RAY_FOLDER = "ray"
#: seconds between two looks at the board
_LOOK_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Workers:
    """How many workers a run has, and what each of them gets."""

    count: int = 1
    #: fewer, down to so many, where nodes are lost; None: always as many
    least: int | None = None
    #: one GPU each
    gpu: bool = False
    #: CPUs reserved for each, which are also its threads
    cpus: int = 1
    #: processes of each that prepare batches; None: as the device needs
    loaders: int | None = None
    #: of the nodes they run on, as `node_labels.parse_labels` gives them; empty: any node
    labels: Mapping[str, str] = field(default_factory=dict)
    #: times the group may be started again after a worker or node was lost
    max_failures: int = 3
    #: seconds after which a silent worker counts as lost, validation included
    timeout_s: int = 1800

    @property
    def counts(self) -> WorkerCount:
        return WorkerCount(self.count if self.least is None else self.least, self.count)


def train_on_ray(
    recipe: TrainConfig,
    sources: Sequence[Path],
    place: RunPlace,
    workers: Workers,
    *,
    leave_out_bad: bool = False,
    start_from: Path | None = None,
    stop: Callable[[], bool] = never,
    noted: Callable[[dict[str, Any]], None] = unheard,
) -> bool:
    """Train until the recipe's budget is used up (True) or ``stop`` says so (False); saved either way.

    Sources and ``start_from`` must be readable at the same path on every node. ``noted`` gets what is known about
    the run, about twice a second. Raises ConfigInvalid, DatasetInvalid and the other errors of
    ``training.train``, and TrainingFailed when workers keep dying.
    """
    _check(recipe, place, workers)
    with sole_writer(Path(place.path)) if place.is_folder else nullcontext():
        return _train(recipe, sources, place, workers, leave_out_bad, start_from, stop, noted)


def _train(
    recipe: TrainConfig,
    sources: Sequence[Path],
    place: RunPlace,
    workers: Workers,
    leave_out_bad: bool,
    start_from: Path | None,
    stop: Callable[[], bool],
    noted: Callable[[dict[str, Any]], None],
) -> bool:
    folders = [source.absolute() for source in sources]
    if place.is_folder:
        # PACKs are unpacked once and here, not by every worker at the same time
        find_sources(folders, work=Path(place.path) / "data")
    board = make_board()
    orders = Orders(
        recipe=recipe.to_dict(),
        sources=tuple(map(str, folders)),
        place=place,
        board=board,
        threads=workers.cpus,
        loaders=workers.loaders,
        leave_out_bad=leave_out_bad,
        start_from=None if start_from is None else str(start_from.absolute()),
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"ray\.")  # what Ray says of its own parts is not for our users
        trainer = TorchTrainer(
            work,
            train_loop_config={"orders": orders},
            torch_config=TorchConfig(backend="nccl" if workers.gpu else "gloo", timeout_s=workers.timeout_s),
            scaling_config=ScalingConfig(
                num_workers=(workers.counts.least, workers.count) if workers.counts.changes else workers.count,
                # never more while a run goes on: Ray ends it where it is, and takes it up from its last state once
                # all find a place, by what nodes have, not by what is free
                elastic_resize_monitor_interval_s=math.inf,
                use_gpu=workers.gpu,
                resources_per_worker={"CPU": workers.cpus, **({"GPU": 1} if workers.gpu else {})},
                label_selector=dict(workers.labels) or None,
            ),
            run_config=RunConfig(
                name=RAY_FOLDER,
                storage_path=place.path,
                storage_filesystem=place.filesystem,
                failure_config=FailureConfig(max_failures=workers.max_failures),
                checkpoint_config=CheckpointConfig(num_to_keep=2),
            ),
        )
        # not in the main thread: Ray would take Ctrl-C for itself there, and break off instead of saving
        pool = ThreadPoolExecutor(1, thread_name_prefix="ray-train")
        fitting = pool.submit(_fit, trainer, board)
        try:
            _follow(fitting, board, stop, noted)
        finally:
            pool.shutdown(wait=False)  # it ends with the run, or with Ray
    known = ray.get(board.read.remote())
    noted(known)
    return bool(known.get("finished"))


def _follow(
    fitting: Future[None], board: Any, stop: Callable[[], bool], noted: Callable[[dict[str, Any]], None]
) -> None:
    """Until the run is over, or was told to stop before its first step."""
    asked = False
    while True:
        try:
            fitting.result(timeout=_LOOK_S)
            return
        except StillRunning:
            known = ray.get(board.read.remote())
            noted(known)
        if stop() and not asked:
            asked = True
            ray.get(board.ask_stop.remote())
            if not known.get("step"):
                return  # there is nothing to save yet


def unseen_by(path: Path) -> list[str]:
    """Names of the cluster's nodes that do not see a file that is written into ``path`` here and now."""
    path.mkdir(parents=True, exist_ok=True)
    probe = path / f".probe-{uuid.uuid4().hex}"
    probe.write_text("is this folder shared?")
    look = ray.remote(num_cpus=0)(_sees)
    try:
        nodes = [node for node in ray.nodes() if node["Alive"]]
        looks = [
            look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
                str(probe)
            )
            for node in nodes
        ]
        return [node["NodeName"] for node, seen in zip(nodes, ray.get(looks), strict=True) if not seen]
    finally:
        probe.unlink(missing_ok=True)


def _sees(path: str) -> bool:
    return Path(path).is_file()


def _check(recipe: TrainConfig, place: RunPlace, workers: Workers) -> None:
    """Before anything is started: what could only fail in the workers later, and is told worse there."""
    workers.counts.check_shares(recipe.batch_size, recipe.grad_accum_steps)
    if workers.counts.changes and workers.labels:
        raise ConfigInvalid("workers", "with labels name one number of workers: Ray counts nodes without them, too")
    nodes = [node for node in ray.nodes() if node["Alive"]]
    usable = [node for node in nodes if has_labels(node["Labels"], workers.labels)]
    if not usable:
        raise ConfigInvalid("labels", f"no node of the cluster is one with {in_words(workers.labels)}")
    gpus = sum(node["Resources"].get("GPU", 0) for node in usable)
    if workers.gpu and gpus < workers.counts.least:
        where = f" on nodes with {in_words(workers.labels)}" if workers.labels else ""
        raise ConfigInvalid("gpus", f"{workers.counts.least} workers need a GPU each; Ray has {gpus:g}{where}")
    if place.is_folder and len(nodes) > 1 and (blind := unseen_by(Path(place.path))):
        raise ConfigInvalid(
            "out",
            f"{place.path} is a local folder that {', '.join(blind)} cannot see, but the run may need it there: "
            "give a folder that every node mounts, or s3://bucket/prefix",
        )


def _fit(trainer: TorchTrainer, board: Any) -> None:
    failed: TrainingFailedError | None = None
    try:
        trainer.fit()
    except TrainingFailedError as error:
        failed = error
    told = ray.get(board.failure.remote())
    if told is not None:
        raise told
    if failed is not None:
        raise TrainingFailed(f"the workers kept dying: {failed}") from failed
