"""`release` and `calibration`: a run's weights become a file to ship; what such a file promises about false alarms."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from nclscreen.cli import output
from nclscreen.cli.counting import counting
from nclscreen.services.releasing import CalibrationView, calibration_view, release_weights
from nclscreen.wiring import wire

if TYPE_CHECKING:
    from ncl_model.release_request import Released

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def release(
    run: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="weights.safetensors of a training run.")],
    data: Annotated[
        list[Path], typer.Option(metavar="SOURCE", help="A source the run was trained from. May be repeated.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write.")],
    authentic: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="SOURCE",
            help="More authentic photographs for the calibration, none of them trained on. May be repeated.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name to write into the file; else the run's.")] = None,
    version: Annotated[str, typer.Option(help="Version to write into the file.")] = "1",
    rule: Annotated[
        str | None, typer.Option(help="Score rule, in the words this prints; else the criterion picks it.")
    ] = None,
    device: Annotated[
        str, typer.Option(help="cpu, cuda, cuda:1 ...; scores of a GPU differ in the last digits.")
    ] = "cpu",
    accept_worse: Annotated[
        bool, typer.Option("--accept-worse", help="Write the file although something speaks against shipping it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a file to ship of a run's weights: score rule and logit shift by its validation images, and a calibration.

    The calibration is fitted on authentic photographs that the run never trained on. Exit code 1 when something speaks
    against shipping the weights; nothing is written then, unless it is accepted.
    """
    from ncl_model.evaluation.release_report import release_document, rules_table, warning
    from ncl_model.release_request import ReleaseRequest

    request = ReleaseRequest(
        run=run,
        data=data,
        out=out,
        authentic=authentic or (),
        name=name,
        version=version,
        rule=rule,
        device=device,
        accept_worse=accept_worse,
    )
    with counting() as progress:
        released = release_weights(request, progress)
    if as_json:
        document = release_document(released.checkpoint)
        output.print_json(document | {"written": released.written, "out": str(out)})
    else:
        print(rules_table(released.chosen), end="")  # noqa: T201 - a table is no text to be wrapped
        output.print_columns(_told(released, out))
    if released.doubts:
        sys.stderr.write(warning(released.doubts, out, accepted=accept_worse))
    if not released.written:
        raise typer.Exit(output.FAILED)


def _told(released: Released, out: Path) -> Table:
    from ncl_model.evaluation.release_report import release_document

    document = release_document(released.checkpoint)
    grid = _grid()
    grid.add_row("score rule", document["score_rule"])
    grid.add_row("logit shift", f"{document['logit_shift']:g}")
    for rate, policy in document["max_fpr"].items():
        grid.add_row(f"max-fpr {rate}", policy)
    grid.add_row("fingerprint", document["fingerprint"])
    if released.written:
        grid.add_row("written", output.visible(str(out)))
    return grid


def calibration(
    weights: Annotated[Path | None, typer.Option(help="Model weights; else NCLSCREEN_WEIGHTS, or the shipped.")] = None,
    max_fpr: Annotated[
        list[float] | None,
        typer.Option(help="A rate of false alarms, in (0, 1]. May be repeated; else some usual ones."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say which thresholds keep which rate of false alarms, how firmly, and on whose photographs that was measured."""
    view = calibration_view(wire(), weights, max_fpr or ())
    if as_json:
        output.print_json(view.document)
        return
    output.print_columns(_calibrated(view))


def _calibrated(view: CalibrationView) -> Table:
    grid = _grid()
    grid.add_row("model", output.visible(f"{view.name} ({view.fingerprint[:12]}), threshold {view.threshold:.3f}"))
    grid.add_row("measured on", f"{view.photographs:,} authentic photographs{view.states}; score rule {view.rule}")
    for source, count in view.sources.items():
        grid.add_row("", output.visible(f"{count:,} of {source}"))
    for policy in view.policies:
        reached = f"{policy['reached']:,} of them reach it, 95 % upper bound {100 * policy['upper_bound']:.2g} %"
        grid.add_row(f"max-fpr {policy['max_fpr']:g}", f"threshold {policy['threshold']:.4f}; {reached}")
    for rate, why in view.refused.items():
        grid.add_row(f"max-fpr {rate}", why)
    return grid


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    return grid
