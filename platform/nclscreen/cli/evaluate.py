"""`evaluate`: the figures of a model on labelled photographs, in this process, without database or cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from nclscreen.cli import output
from nclscreen.cli.counting import counting
from nclscreen.interrupts import Terminated
from nclscreen.services.evaluation import Evaluation, EvaluationRequest
from nclscreen.wiring import wire


def evaluate(
    data: Annotated[
        list[Path],
        typer.Option(
            metavar="SOURCE",
            help="Labelled photographs: an index.csv, or a folder in a known layout. May be repeated.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for tables, records and figure sheets.")],
    weights: Annotated[Path | None, typer.Option(help="Model weights; else NCLSCREEN_WEIGHTS, or the shipped.")] = None,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Also under the paper's distortions: nine times as long.")
    ] = False,
    benign: Annotated[
        bool,
        typer.Option(
            "--benign",
            help="Also after eight operations that tamper with nothing (crop, resize, ...): ten times as long.",
        ),
    ] = False,
    laundered: Annotated[
        bool, typer.Option("--laundered", help="Also after the histories that training photographs get, one for each.")
    ] = False,
    against: Annotated[
        Path | None,
        typer.Option(metavar="WEIGHTS", help="Compare with these weights, on the same photographs in the same run."),
    ] = None,
    resave: Annotated[
        bool,
        typer.Option("--resave", help="Also with the authentic photographs saved again as the tampered ones were."),
    ] = False,
    precision: Annotated[
        Literal["float32", "bfloat16"] | None, typer.Option(help="Arithmetic; else NCLSCREEN_PRECISION.")
    ] = None,
    device: Annotated[str, typer.Option(help="Where the network runs: cpu, cuda, cuda:1 ...")] = "cpu",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many images of each set, spread evenly.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Measure a model on labelled photographs: where it sees tampering, and how well it tells which were tampered with.

    Exit code 1 when photographs could not be read; they are listed, and the others are judged all the same.
    """
    evaluation = Evaluation(
        wire(),
        EvaluationRequest(
            data=data,
            out=out,
            weights=weights,
            robustness=robustness,
            benign=benign,
            laundered=laundered,
            against=against,
            resave=resave,
            precision=precision,
            device=device,
            limit=limit,
        ),
    )
    try:
        with counting() as progress:
            evaluation.run(progress)
    except (KeyboardInterrupt, Terminated):
        _tell_broken_off(evaluation, out)
        raise
    if as_json:
        output.print_json(evaluation.document)
    else:
        print(evaluation.text, end="")  # noqa: T201 - a table is no text to be wrapped
        output.err.print(f"tables, records and figure sheets: {out}", markup=False)
    if evaluation.has_problems:
        raise typer.Exit(output.FAILED)


def _tell_broken_off(evaluation: Evaluation, out: Path) -> None:
    judged = evaluation.judged
    if judged:
        output.err.print(evaluation.figures_text, markup=False, end="")
    output.err.print(f"interrupted: {judged:,} images were judged; what is known of them is in {out}", markup=False)
