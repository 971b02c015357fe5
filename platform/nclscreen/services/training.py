"""Training a model from a recipe, on Ray Train, or with the plain loop in this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ncl_model.distributed.worker_count import WorkerCount
from ncl_model.errors import ConfigInvalid
from nclscreen.run_storage import run_place
from nclscreen.services.errors import InvalidRequest
from nclscreen.services.training_result import TrainingResult, was_finished
from nclscreen.wiring import Wiring

if TYPE_CHECKING:
    from ncl_model.distributed.run_place import RunPlace
    from ncl_model.training.recipe import TrainConfig

#: whether the run is to save and end
Stop = Callable[[], bool]
#: told what is news of the run
Noted = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingRequest:
    """What is to be trained on what, and where."""

    #: a YAML or JSON file, or the name of a ready recipe
    config: str
    #: fields of the recipe that are to be others: "network.width=32"
    changes: Sequence[str] = ()
    #: an index.csv, a folder in a known layout, or a PACK, each
    data: Sequence[Path]
    #: folder of the run, or s3://bucket/prefix
    out: str
    #: training processes on Ray, "4", or "1-4" where a run is to go on with fewer; "0": the plain loop in this process
    workers: str = "1"
    #: one for each worker; else the CPU computes
    gpus: bool = False
    #: wall time of training; None: the recipe's
    minutes: float | None = None
    #: optimizer steps, instead of a time
    steps: int | None = None
    #: processes of each worker that prepare batches; None: as needed
    loaders: int | None = None
    #: weights to begin with
    start_from: Path | None = None
    #: go on without files that cannot be read
    leave_out_bad: bool = False
    #: of a Ray cluster; None: as the settings say
    address: str | None = None


@dataclass(slots=True)
class _Known:
    """What was told of the run so far."""

    noted: Noted
    facts: dict[str, Any] = field(default_factory=dict)

    def note(self, notice: Mapping[str, Any]) -> None:
        self.facts |= notice
        self.noted(notice)


def train(wiring: Wiring, request: TrainingRequest, *, stop: Stop, noted: Noted) -> TrainingResult:
    """Train, or go on with an interrupted run; a finished one is left as it is.

    Raises InvalidRequest, InvalidSource, and the errors of training.
    """
    if request.minutes is not None and request.steps is not None:
        raise InvalidRequest("minutes", "steps are given too, and only one of them can count")
    recipe = _recipe(request)
    place = run_place(request.out, wiring.settings.s3)
    workers = worker_count(request.workers)
    if workers.most == 0 and not place.is_folder:
        raise InvalidRequest("workers", "0 trains into a folder; for s3:// take at least one worker")
    known = _Known(noted)
    if was_finished(recipe, place):
        return TrainingResult.of(request.out, place, {}, finished=True, nothing_done=True)
    if workers.most == 0:
        finished = _plain(request, recipe, place, stop, known.note)
    else:
        finished = _on_ray(wiring, request, workers, recipe, place, stop, known.note)
    return TrainingResult.of(request.out, place, known.facts, finished=finished)


def worker_count(written: str) -> WorkerCount:
    """Raises InvalidRequest."""
    try:
        return WorkerCount.of(written)
    except ConfigInvalid as error:
        raise InvalidRequest("workers", error.reason) from None


def _recipe(request: TrainingRequest) -> TrainConfig:
    from ncl_model.training.recipe import TrainConfig
    from ncl_model.training.recipe_changes import with_changes

    try:
        recipe = TrainConfig.load(request.config)
    except ConfigInvalid as error:
        raise InvalidRequest("config", str(error)) from None
    try:
        recipe = with_changes(recipe, request.changes)
    except ConfigInvalid as error:
        raise InvalidRequest("changes", str(error)) from None
    try:
        return recipe.with_budget(minutes=request.minutes, steps=request.steps)
    except ConfigInvalid as error:
        raise InvalidRequest("config", str(error)) from None


def _plain(request: TrainingRequest, recipe: TrainConfig, place: RunPlace, stop: Stop, noted: Noted) -> bool:
    from ncl_model.training.plain import Place
    from ncl_model.training.plain import train as train_plainly

    device = "cuda" if request.gpus else "cpu"
    where = Place(device=device, loaders=request.loaders, leave_out_bad=request.leave_out_bad)
    return train_plainly(
        recipe, request.data, Path(place.path), where, start_from=request.start_from, stop=stop, noted=noted
    )


def _on_ray(
    wiring: Wiring,
    request: TrainingRequest,
    workers: WorkerCount,
    recipe: TrainConfig,
    place: RunPlace,
    stop: Stop,
    noted: Noted,
) -> bool:
    from nclscreen.hosting.ray_connection import RayOptions, connected_ray

    address = request.address or wiring.settings.ray_address
    # a worker's CPUs are its threads; on a machine of our own all of them are for training
    cpus = max(1, (os.cpu_count() or 1) // workers.most) if address is None else 1
    with connected_ray(RayOptions(address=address, needed_cpus=cpus * workers.most)):
        from ncl_model.distributed.launch import Workers, train_on_ray
        from ncl_model.distributed.node_labels import parse_labels

        return train_on_ray(
            recipe,
            request.data,
            place,
            Workers(
                cpus=cpus,
                count=workers.most,
                least=workers.least,
                gpu=request.gpus,
                loaders=request.loaders,
                labels=parse_labels(wiring.settings.train_labels or ""),
            ),
            stop=stop,
            noted=noted,
            leave_out_bad=request.leave_out_bad,
            start_from=request.start_from,
        )
