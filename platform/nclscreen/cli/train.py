"""`train`: a model is trained from a recipe, on Ray Train, or with the plain loop in this process."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from nclscreen.cli import output
from nclscreen.cli.progress import duration
from nclscreen.cli.training_view import TrainingView, training_view
from nclscreen.interrupts import Terminated
from nclscreen.wiring import Wiring, wire

if TYPE_CHECKING:
    from ncl_model.distributed.run_place import RunPlace
    from ncl_model.training.recipe import TrainConfig

Stop = Callable[[], bool]


def train(
    config: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG", help="A YAML or JSON file, or a ready recipe: small, large, paper, ablation, smoke."
        ),
    ],
    data: Annotated[
        list[Path],
        typer.Option(
            metavar="SOURCE",
            help="Photographs: an index.csv, a folder in a known layout, or a PACK. May be repeated.",
        ),
    ],
    out: Annotated[str, typer.Option(metavar="DIR", help="Folder of this run, or s3://bucket/prefix.")],
    workers: Annotated[
        int, typer.Option(min=0, help="Training processes on Ray; 0: the plain loop in this process, without Ray.")
    ] = 1,
    gpus: Annotated[bool, typer.Option("--gpus", help="One GPU for each worker; else the CPU computes.")] = False,
    minutes: Annotated[float | None, typer.Option(help="Wall time of training; else the recipe's.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps, instead of a time.")] = None,
    loaders: Annotated[
        int | None, typer.Option(min=0, help="Processes of each worker that prepare batches; else as needed.")
    ] = None,
    start_from: Annotated[
        Path | None, typer.Option(help="Weights to begin with, of the same or of a smaller network.")
    ] = None,
    leave_out_bad: Annotated[
        bool, typer.Option("--leave-out-bad", help="Go on without files that cannot be read.")
    ] = False,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster; else NCLSCREEN_RAY_ADDRESS, or a local one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Train a model. The same command goes on with an interrupted run; a finished one is left as it is."""
    if minutes is not None and steps is not None:
        raise typer.BadParameter("give --minutes or --steps, not both")
    from ncl_model.training.interruption import heeding_signals
    from nclscreen.run_storage import run_place

    wiring = wire()
    recipe = _recipe(config, minutes, steps)
    place = run_place(out, wiring.settings.s3)
    if workers == 0 and not place.is_folder:
        raise typer.BadParameter("--workers 0 trains into a folder; for s3:// take at least one worker")
    with training_view() as view, heeding_signals() as stop:
        arguments: dict[str, Any] = {"leave_out_bad": leave_out_bad, "start_from": start_from}
        wish = _telling(view, stop)
        if _was_finished(recipe, place):
            finished = True
            output.err.print("this run was finished before: nothing was done (another --out begins a new one)")
        elif workers == 0:
            finished = _plain(recipe, data, place, view, wish, gpus=gpus, loaders=loaders, **arguments)
        else:
            counts = {"count": workers, "gpu": gpus, "loaders": loaders}
            finished = _on_ray(wiring, address, recipe, data, place, view, wish, counts, **arguments)
    document = _document(out, place, view.known, finished)
    if as_json:
        output.print_json(document)
    else:
        _print(document)
    if stop.signal is not None and not finished:
        output.err.print("interrupted: all is saved; the same command goes on from there")
        raise Terminated if stop.signal == signal.SIGTERM else KeyboardInterrupt


def _recipe(config: str, minutes: float | None, steps: int | None) -> TrainConfig:
    from ncl_model.errors import ConfigInvalid
    from ncl_model.training.recipe import TrainConfig

    try:
        return TrainConfig.load(config).with_budget(minutes=minutes, steps=steps)
    except ConfigInvalid as error:
        raise typer.BadParameter(str(error)) from None


def _was_finished(recipe: TrainConfig, place: RunPlace) -> bool:
    """Whether the folder holds this run's end already, so that nothing needs to be started."""
    from ncl_model.errors import CheckpointError
    from ncl_model.inference.checkpoint import load_checkpoint
    from ncl_model.training.run_files import WEIGHTS

    weights = Path(place.path) / WEIGHTS
    if not place.is_folder or not weights.is_file():
        return False
    try:
        checkpoint = load_checkpoint(weights)
    except CheckpointError:
        return False  # it is written anew by the run
    done = checkpoint.provenance
    if checkpoint.config != recipe.network or "elapsed_s" not in done:
        return False
    if recipe.steps is not None:
        return bool(done["steps"] >= recipe.steps)
    return bool(done["elapsed_s"] >= 60 * (recipe.minutes or 0) - 0.1)  # rounded when it was written


def _telling(view: TrainingView, stop: Stop) -> Stop:
    def wish() -> bool:
        if stop():
            view.saving()
        return stop()

    return wish


def _plain(
    recipe: TrainConfig,
    data: list[Path],
    place: RunPlace,
    view: TrainingView,
    wish: Stop,
    *,
    gpus: bool,
    loaders: int | None,
    leave_out_bad: bool,
    start_from: Path | None,
) -> bool:
    from ncl_model.training.plain import Place, train

    where = Place(device="cuda" if gpus else "cpu", loaders=loaders, leave_out_bad=leave_out_bad)
    return train(recipe, data, Path(place.path), where, start_from=start_from, stop=wish, noted=view.note)


def _on_ray(
    wiring: Wiring,
    address: str | None,
    recipe: TrainConfig,
    data: list[Path],
    place: RunPlace,
    view: TrainingView,
    wish: Stop,
    counts: dict[str, Any],
    **arguments: Any,
) -> bool:
    from nclscreen.runtime import RuntimeOptions, connected_ray

    address = address or wiring.settings.ray_address
    # a worker's CPUs are its threads; on a machine of our own all of them are for training
    cpus = max(1, (os.cpu_count() or 1) // counts["count"]) if address is None else 1
    with connected_ray(RuntimeOptions(address=address, needed_cpus=cpus * counts["count"])):
        from ncl_model.distributed.launch import Workers, train_on_ray

        workers = Workers(cpus=cpus, **counts)
        return train_on_ray(recipe, data, place, workers, stop=wish, noted=view.note, **arguments)


def _document(out: str, place: RunPlace, known: dict[str, Any], finished: bool) -> dict[str, Any]:
    """The end of a run, also of one that was finished before."""
    files = {"weights": "weights.safetensors", "curves": "curves.png", "metrics": "metrics.csv", "log": "log.jsonl"}
    folder = place.path if place.is_folder else out.rstrip("/")
    found: dict[str, Any] = {"step": known.get("step"), "elapsed_s": known.get("elapsed_s"), "validation": {}}
    weights = Path(place.path) / files["weights"]
    if place.is_folder and weights.is_file():
        from ncl_model.inference.checkpoint import load_checkpoint

        checkpoint = load_checkpoint(weights)
        found = {
            "step": checkpoint.provenance["steps"],
            "elapsed_s": checkpoint.provenance["elapsed_s"],
            "validation": _without_nan(checkpoint.metrics.get("validation", {})),
        }
    else:
        found["validation"] = _without_nan({k: known[k] for k in ("pixel_f1", "pixel_auc", "image_auc") if k in known})
    return {"finished": finished, **found, **{name: f"{folder}/{file}" for name, file in files.items()}}


def _without_nan(figures: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in figures.items()}


def _print(document: dict[str, Any]) -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    state = "finished" if document["finished"] else "not finished: the same command goes on"
    grid.add_row("run", state)
    if document["step"] is not None:
        grid.add_row("steps", f"{document['step']:,} in {duration(document['elapsed_s'] or 0)}")
    figures = {"pixel_f1": "pixel F1", "pixel_auc": "pixel AUC", "image_auc": "image AUC"}
    shown = [f"{n} {v:.3f}" for k, n in figures.items() if (v := document["validation"].get(k)) is not None]
    if shown:
        grid.add_row("validation", ", ".join(shown))
    for name in ("weights", "curves", "metrics", "log"):
        grid.add_row(name, output.visible(document[name]))
    output.out.print(grid)
