"""What every worker of a run on Ray Train does: the plain loop, on its share of each batch."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import ray
import torch
import torch.distributed as dist
from ray import train
from ray.train.torch import get_device

from ncl_model.distributed.board import Caller
from ncl_model.distributed.run_place import RunPlace
from ncl_model.distributed.worker_count import most_that_share
from ncl_model.errors import ConfigInvalid, NclModelError
from ncl_model.training.devices import default_loaders, describe
from ncl_model.training.loading import Loading, batches
from ncl_model.training.looking_on import LookingOn, no_batches
from ncl_model.training.loop import Loop
from ncl_model.training.plain import load_material
from ncl_model.training.recipe import TrainConfig
from ncl_model.training.run_files import RunFiles
from ncl_model.training.run_log import RunLog
from ncl_model.training.run_names import STATE
from ncl_model.training.run_recorder import RunRecorder
from ncl_model.training.trainer import Trainer
from ncl_model.training.worker_group import DistributedGroup, WorkerGroup

_T = TypeVar("_T")


class _AllMeetIt(Exception):
    """An error before the first step, of which every worker knows; the cause is the error."""


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What the workers are told; plain data."""

    recipe: dict[str, Any]
    sources: tuple[str, ...]
    place: RunPlace
    board: Any
    threads: int
    loaders: int | None
    leave_out_bad: bool
    start_from: str | None


def work(config: dict[str, Any]) -> None:
    """Entry point of a worker; ``config["orders"]`` is ``Orders``."""
    orders: Orders = config["orders"]
    try:
        if ray.get(orders.board.failure.remote()) is None:
            with tempfile.TemporaryDirectory() as scratch:
                _train(orders, Path(scratch))
    except (_AllMeetIt, ConfigInvalid) as error:
        # told, and not raised: Ray would only start again what fails again
        ray.get(orders.board.fail.remote(error.__cause__ or error))
    except NclModelError as error:
        ray.get(orders.board.fail.remote(error))
        raise  # the other workers wait for this one: its end is what ends them


def _train(orders: Orders, scratch: Path) -> None:
    torch.set_num_threads(orders.threads)
    recipe, device = TrainConfig.from_dict(orders.recipe), get_device()
    present = dist.get_world_size() if dist.is_initialized() else 1
    sharing = most_that_share(recipe.batch_size, recipe.grad_accum_steps, present)
    group = DistributedGroup(device, sharing) if present > 1 else WorkerGroup()
    trainer = Trainer(recipe, device, group) if group.works else LookingOn(recipe, group)
    resumed = _together(group, lambda: _take_up(trainer, orders))
    finished = trainer.finished
    if not finished or group.share(group.leads and not _has_weights(orders.place, trainer.step)):
        finished = _run(orders, trainer, scratch, resumed=resumed)
    if group.leads:
        ray.get(orders.board.post.remote({"finished": finished, "step": trainer.step}))


def _run(orders: Orders, trainer: Trainer, scratch: Path, *, resumed: bool) -> bool:
    recipe, group = trainer.recipe, trainer.group
    local = orders.place.local(scratch) if group.leads else scratch
    work_folder = Path(orders.place.path) if orders.place.is_folder else scratch
    sources = [Path(source) for source in orders.sources]
    material = _together(group, lambda: load_material(recipe, sources, work_folder, leave_out_bad=orders.leave_out_bad))
    recorder = None
    if group.leads:
        where = f"{describe(trainer.device)}, {group.size} workers"
        log = RunLog(local, step=trainer.step, tensorboard=orders.place.is_folder)
        told = {"resumed": resumed, "step": trainer.step, "device": where, "look_on": group.present - group.size}
        log.event("start", **told, recipe=recipe.to_dict())
        log.event("material", **material.described)
        provenance = {"material": material.described, "device": describe(trainer.device), "workers": group.size}
        recorder = RunRecorder(RunFiles(out=local), log, material.validation, provenance)
    caller = Caller(orders.board)
    if resumed and group.leads:
        caller.note({"resumed_from": trainer.step})

    def stop() -> bool:
        return caller.should_stop({"step": trainer.step, "progress": trainer.progress, "elapsed_s": trainer.elapsed_s})

    def saved(row: dict[str, Any]) -> None:
        """Every worker reports; the leading one has the state with it."""
        row = row or {"step": trainer.step}
        if not group.leads:
            train.report(row, checkpoint=None)
            return
        orders.place.publish(local)
        with tempfile.TemporaryDirectory() as folder:
            _link(local / STATE, Path(folder) / STATE)
            train.report(row, checkpoint=train.Checkpoint.from_directory(folder))

    loop = Loop(trainer, recorder, stop=stop, noted=caller.note, saved=saved)
    processes = default_loaders(trainer.device) if orders.loaders is None else orders.loaders
    loading = Loading(processes=processes, pinned=trainer.device.type == "cuda", rank=group.rank, workers=group.size)
    try:
        if recorder is not None and trainer.finished:  # it ended between its last state and its weights
            recorder.save(trainer, validate=True, noted=caller.note)
        made = batches(material, recipe, trainer.step, loading) if group.works else no_batches()
        finished = loop.run(made)
        if recorder is not None:
            recorder.log.event("end", finished=finished, step=trainer.step)
            orders.place.publish(local)
    finally:
        if recorder is not None:
            recorder.close()
    return finished


def _together(group: WorkerGroup, do: Callable[[], _T]) -> _T:
    """Do something that may fail on some workers and not on others. Raises _AllMeetIt on all of them then."""
    done: list[_T] = []
    problem: NclModelError | None = None
    try:
        done.append(do())
    except NclModelError as error:
        problem = error
    for met in group.gather(problem):
        if met is not None:
            raise _AllMeetIt from met
    return done[0]


def _take_up(trainer: Trainer, orders: Orders) -> bool:
    """Load the newest state there is, on all workers the one that the leading worker found; else what to start from."""
    group = trainer.group
    found = _together(group, lambda: _newest_state(orders.place) if group.leads else None)
    shared = group.share(found)
    if shared is not None:
        trainer.load_state(*shared)
        return True
    if orders.start_from is not None:
        trainer.start_from(Path(orders.start_from))
    return False


def _newest_state(place: RunPlace) -> tuple[dict[str, Any], str] | None:
    """Of Ray's last checkpoint and the run's own folder, the one with more steps."""
    states: list[tuple[dict[str, Any], str]] = []
    checkpoint = train.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            state = RunFiles(out=Path(folder)).load_state()
            if state is not None:
                states.append((state, checkpoint.path))
    if place.is_folder:
        state = RunFiles(out=Path(place.path)).load_state()
        if state is not None:
            states.append((state, place.path))
    return max(states, key=lambda found: int(found[0].get("step", 0)), default=None)


def _has_weights(place: RunPlace, step: int) -> bool:
    """Whether the run's folder has its last weights; in a bucket they come before the state."""
    return not place.is_folder or RunFiles(out=Path(place.path)).has_weights_of(step)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        target.write_bytes(source.read_bytes())
