"""`retrain`, `runs`, `run`: models retrained from reviews, by whoever runs `nclscreen up`."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.domain.retraining import Run
from nclscreen.cli import output
from nclscreen.cli.query import Json
from nclscreen.quantities import duration_in_words, moment_in_words
from nclscreen.services.retrain_request import MOST_EMPHASIS, MOST_WEAK, RetrainRequest
from nclscreen.services.retraining import run_document
from nclscreen.services.scheduling import retrain as begin
from nclscreen.wiring import wire

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]


def retrain(
    data: Annotated[
        list[str], typer.Option(metavar="SOURCE", help="Labelled and authentic photographs to train on, too; repeat.")
    ],
    evaluate: Annotated[
        list[str] | None, typer.Option(metavar="SOURCE", help="Labelled photographs to judge by; repeat for more.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="A recipe; else that of the champion.")] = None,
    scratch: Annotated[bool, typer.Option("--scratch", help="Begin from nothing, not from the champion.")] = False,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimizer steps, instead of a time.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Wall time of training; else the recipe's.")] = None,
    workers: Annotated[
        str,
        typer.Option(
            metavar="N|MIN-MAX",
            help="Training processes on Ray, as for train; 0: one process beside the dispatcher, without Ray.",
        ),
    ] = "0",
    emphasis: Annotated[
        int, typer.Option(min=1, max=MOST_EMPHASIS, help="How much a reviewed false alarm counts beside another one.")
    ] = 5,
    weak: Annotated[
        float,
        typer.Option(min=0, max=MOST_WEAK, help="Share of samples that are confirmed photographs without a drawing."),
    ] = 0.1,
    least_reviews: Annotated[int, typer.Option(min=0, help="Fewer reviewed photographs are no run.")] = 1,
    rules: Annotated[
        str | None, typer.Option(metavar="FILE", help="Rules of the gate; else: no set much worse.")
    ] = None,
    no_promotion: Annotated[
        bool, typer.Option("--no-promotion", help="Leave it to a person to promote what passes the gate.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="Name of the new version; else the champion's.")] = None,
    as_json: Json = False,
) -> None:
    """Retrain the champion with what people said of images, judge it, and promote it where it is no worse.

    A running `nclscreen up` does it, step by step; follow it with `nclscreen run`.
    """
    request = RetrainRequest(
        data=tuple(data),
        evaluate=tuple(evaluate or ()),
        recipe=recipe,
        from_champion=not scratch,
        steps=steps,
        minutes=minutes,
        workers=workers,
        emphasis=emphasis,
        weak=weak,
        least_reviews=least_reviews,
        rules=rules,
        promote=not no_promotion,
        name=name,
    )
    found = begin(wire(), request)
    if as_json:
        output.print_json(run_document(found))
    else:
        print(found.id)  # noqa: T201 - the bare id, for scripts
        output.err.print(f"follow it with: nclscreen run {found.id}")


def runs(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 20, as_json: Json = False
) -> None:
    """Runs of retraining, the newest first, and what came of them."""
    found = wire().runs.latest(limit)
    if as_json:
        output.print_json([run_document(run) for run in found])
        return
    headings = ("run", "state", "asked for", "took", "version", "why")
    output.print_table(headings, [_row(run) for run in found])


def run(
    run_id: RunArgument,
    cancel: Annotated[bool, typer.Option("--cancel", help="Have it end; the champion stays.")] = False,
    as_json: Json = False,
) -> None:
    """One run: where it stands, what it was trained on, what the gate measured and decided."""
    store = wire().runs
    found = store.cancel(run_id) if cancel else store.get(run_id)
    if as_json:
        output.print_json(run_document(found))
        return
    print_run(found)


def print_run(found: Run) -> None:
    """Where it stands, and what the gate measured."""
    for name, value in _lines(found):
        output.out.print(output.visible(f"{name:<12} {value}"), soft_wrap=True)
    if found.decision is not None:
        output.print_table(("set", "figure", "champion", "challenger"), _figures(found))


def _row(found: Run) -> tuple[str, ...]:
    version = "–" if found.fingerprint is None else found.fingerprint[:12]
    return (found.id, found.state.value, moment_in_words(found.created_at), _took(found), version, found.error or "")


def _took(found: Run) -> str:
    if found.started_at is None or found.finished_at is None:
        return "–"
    return duration_in_words(found.finished_at - found.started_at)


def _lines(found: Run) -> list[tuple[str, str]]:
    contents = found.contents or {}
    told = [("run", found.id), ("state", found.state.value + (", to be cancelled" if found.cancelled else ""))]
    if found.parent:
        told.append(("from", found.parent[:12]))
    if contents:
        reviewed = f"{contents['false_alarms']} false alarms, {contents['confirmed']} tampered with"
        told.append(("reviewed", f"{reviewed}; {contents['held_out']} kept for judging"))
        if contents.get("masks") or contents.get("scribbles"):  # runs of older programs have neither
            told.append(("drawn", f"{contents['masks']} masks, {contents['scribbles']} scribbles"))
        if contents.get("labels_alone"):
            told.append(("no drawing", f"{contents['labels_alone']} learnt from by their label alone"))
        told += [("remark", remark) for remark in contents.get("remarks", ())]
        told.append(("left out", f"{len(contents['excluded'])} reviewed photographs"))
    if found.fingerprint:
        told.append(("version", found.fingerprint))
    return [*told, *([("why", found.error)] if found.error else [])]


def _figures(found: Run) -> list[tuple[str, ...]]:
    decision = found.decision or {}
    champion, challenger = decision.get("champion", {}), decision.get("challenger", {})
    return [
        (name, figure, _shown(champion.get(name, {}).get(figure)), _shown(value))
        for name, figures in challenger.items()
        for figure, value in figures.items()
        if value is not None
    ]


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
