"""`train`: a model is trained from a recipe, on Ray Train, or with the plain loop in this process."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from nclscreen.cli import output
from nclscreen.cli.training_view import TrainingView, training_view
from nclscreen.interrupts import Terminated
from nclscreen.quantities import duration_in_words
from nclscreen.services.training import Stop, TrainingRequest
from nclscreen.services.training import train as train_model
from nclscreen.wiring import wire


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
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="FIELD=VALUE", help="A field of the recipe, as in network.width=32. May be repeated."
        ),
    ] = None,
    workers: Annotated[
        str,
        typer.Option(
            metavar="N|MIN-MAX",
            help="Training processes on Ray; 1-4: fewer where nodes are lost; 0: the plain loop in this process.",
        ),
    ] = "1",
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
    from ncl_model.training.interruption import heeding_signals

    request = TrainingRequest(
        config=config,
        changes=changes or (),
        data=data,
        out=out,
        workers=workers,
        gpus=gpus,
        minutes=minutes,
        steps=steps,
        loaders=loaders,
        start_from=start_from,
        leave_out_bad=leave_out_bad,
        address=address,
    )
    with training_view() as view, heeding_signals() as stop:
        result = train_model(wire(), request, stop=_telling(view, stop), noted=view.note)
    if result.nothing_done:
        output.err.print("this run was finished before: nothing was done (another --out begins a new one)")
    if as_json:
        output.print_json(result.document)
    else:
        _print(result.document)
    if stop.signal is not None and not result.finished:
        output.err.print("interrupted: all is saved; the same command goes on from there")
        raise Terminated if stop.signal == signal.SIGTERM else KeyboardInterrupt


def _telling(view: TrainingView, stop: Stop) -> Stop:
    def wish() -> bool:
        if stop():
            view.saving()
        return stop()

    return wish


def _print(document: dict[str, Any]) -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    state = "finished" if document["finished"] else "not finished: the same command goes on"
    grid.add_row("run", state)
    if document["step"] is not None:
        grid.add_row("steps", f"{document['step']:,} in {duration_in_words(document['elapsed_s'] or 0)}")
    figures = {"pixel_f1": "pixel F1", "pixel_auc": "pixel AUC", "image_auc": "image AUC"}
    shown = [f"{n} {v:.3f}" for k, n in figures.items() if (v := document["validation"].get(k)) is not None]
    if shown:
        grid.add_row("validation", ", ".join(shown))
    for name in ("weights", "curves", "metrics", "log"):
        grid.add_row(name, output.visible(document[name]))
    output.out.print(grid)
