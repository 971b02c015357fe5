"""`top`: what goes on, live in a terminal, from the database alone: it goes on while Ray is away."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.live import Live

from jobs.operations.overview import Overview, overview
from nclscreen.cli import output
from nclscreen.cli.patience import patiently
from nclscreen.cli.top_view import Rates, top_lines
from nclscreen.documents import instant, job_document
from nclscreen.interrupts import heed_termination
from nclscreen.job_progress import job_progress
from nclscreen.wiring import wire

_EVERY_S = 2.0


def top(
    once: Annotated[bool, typer.Option("--once", help="Show it once and end, as is done anyway into a file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output, once.")] = False,
) -> None:
    """Show live what goes on: jobs, the queue, who works, what failed, what is to be reviewed. Ctrl-C ends it."""
    engine = wire().engine
    if as_json:
        output.print_json(overview_document(overview(engine)))
    elif once or not output.out.is_terminal:
        for line in top_lines(seen := overview(engine), Rates().update(seen), output.out.width):
            output.out.print(line, soft_wrap=True)
    else:
        _show(lambda: patiently(lambda: overview(engine)))


def _show(look: Callable[[], Overview]) -> None:
    rates = Rates()
    with Live(console=output.out, screen=True, auto_refresh=False) as live:
        while True:
            seen = look()
            width, height = output.out.size
            lines = list(top_lines(seen, rates.update(seen), width, height))
            live.update(Group(*lines[:height]), refresh=True)
            time.sleep(_EVERY_S)
            heed_termination()


def overview_document(seen: Overview) -> dict[str, Any]:
    """Plain JSON types; durations in seconds."""
    figures = {name: _nested(value) for name, value in asdict(seen.figures).items()}
    return {
        "at": instant(seen.now),
        "figures": figures,
        "jobs": [
            job_document(each.job) | asdict(job_progress(each.job, seen.now)) | {"waits_for": each.met}
            for each in seen.jobs
        ],
        "dispatchers": [asdict(each) | {"is_gone": each.is_gone} for each in seen.dispatchers],
        "runs": [asdict(each) for each in seen.runs],
        "failures": [asdict(each) for each in seen.failures],
    }


def _nested(value: Any) -> Any:
    """JSON has no pairs as keys: `{("webhook", "queued"): 1}` is `{"webhook": {"queued": 1}}`."""
    if not isinstance(value, dict):
        return value
    nested: dict[str, Any] = {}
    for key, count in value.items():
        if isinstance(key, tuple):
            nested.setdefault(key[0], {})[key[1]] = count
        else:
            nested[key] = count
    return nested
