"""`schedules`: what is done again and again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from jobs.domain.schedules import Misfire, Overlap, Schedule, ScheduleKind
from jobs.schedules.due import next_due
from nclscreen.cli import output
from nclscreen.cli.query import Json
from nclscreen.quantities import moment_in_words
from nclscreen.services.scheduling import add_schedule, schedule_document, tick_document
from nclscreen.wiring import wire

Name = Annotated[str, typer.Argument(help="Its name or id.")]
_SHOWN = 5


def add(
    name: Annotated[str, typer.Argument(help="A name for it.")],
    cron: Annotated[str, typer.Argument(help="Five fields: minute, hour, day, month, day of the week.")],
    screen: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="Screen what is new there since the last time.")
    ] = None,
    retrain: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Retrain: a YAML file with what `nclscreen retrain` takes.")
    ] = None,
    zone: Annotated[str, typer.Option(help="Whose clock: a zone such as Europe/Berlin.")] = "UTC",
    overlap: Annotated[
        Overlap, typer.Option(help="While the one before is under way: skip this one, or queue it.")
    ] = Overlap.SKIP,
    misfire: Annotated[
        Misfire, typer.Option(help="Nobody was there in time: once makes the last one up.")
    ] = Misfire.ONCE,
    after_reviews: Annotated[
        int | None, typer.Option(min=1, help="Also as soon as so many reviews are new (retraining).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Have something done again and again, by whoever runs `nclscreen up`."""
    if (screen is None) == (retrain is None):
        raise typer.BadParameter("say what is to be done: --screen SOURCE or --retrain FILE")
    made = add_schedule(
        wire(),
        name=name,
        kind=ScheduleKind.RETRAIN if screen is None else ScheduleKind.SCREEN,
        cron=cron,
        zone=zone,
        overlap=overlap,
        misfire=misfire,
        after_reviews=after_reviews,
        request=_read(retrain) if screen is None else {"source": screen},
    )
    _tell(made, as_json)


def list_(as_json: Json = False) -> None:
    """The schedules, when each is due next, and what came of its last time."""
    store = wire().schedules
    found = store.all()
    if as_json:
        output.print_json([schedule_document(each, time.time()) for each in found])
        return
    rows = []
    for each in found:
        last = next(iter(store.ticks(each.id, 1)), None)
        due = "paused" if each.paused else moment_in_words(next_due(each.cron, each.zone, time.time(), 1)[0])
        came = "–" if last is None else f"{last.state.value} {last.subject or last.note or ''}"
        rows.append((each.name, each.kind.value, each.cron, each.zone, due, came))
    output.print_table(("name", "what", "cron", "zone", "next", "last"), rows)


def explain(name: Name, as_json: Json = False) -> None:
    """One schedule: its next five times, and what came of the last ones."""
    store = wire().schedules
    found = store.get(name)
    ticks = store.ticks(found.id)
    if as_json:
        document = schedule_document(found, time.time())
        output.print_json(document | {"ticks": [tick_document(tick) for tick in ticks]})
        return
    _tell(found, False)
    rows = [(moment_in_words(tick.due_at), tick.state.value, tick.subject or "", tick.note or "") for tick in ticks]
    output.print_table(("was due", "state", "began", "why"), rows)


def pause(name: Name, as_json: Json = False) -> None:
    """Let it be due no more; what would have been due meanwhile is not made up for."""
    _tell(wire().schedules.pause(name), as_json)


def resume(name: Name, as_json: Json = False) -> None:
    """Have it be due again from now on."""
    _tell(wire().schedules.pause(name, paused=False), as_json)


def run_now(name: Name, as_json: Json = False) -> None:
    """Do it now, too."""
    tick = wire().schedules.run_now(name)
    if as_json:
        output.print_json(tick_document(tick))
    else:
        output.out.print("it is to be begun by whoever runs `nclscreen up`", markup=False)


def remove(name: Name, as_json: Json = False) -> None:
    """Forget it; what it began stays."""
    found = wire().schedules.remove(name)
    if as_json:
        output.print_json(schedule_document(found, time.time()))
    else:
        output.out.print(output.visible(f"{found.name} is due no more"))


def _read(path: Path | None) -> dict[str, Any]:
    from ncl_model.training.recipe_text import read_mapping

    return {} if path is None else read_mapping(path)


def _tell(found: Schedule, as_json: bool) -> None:
    if as_json:
        output.print_json(schedule_document(found, time.time()))
        return
    output.out.print(output.visible(f"{found.name}: {found.kind.value}, {found.cron} in {found.zone}"), soft_wrap=True)
    if found.paused:
        output.out.print("paused")
        return
    for moment in next_due(found.cron, found.zone, time.time(), _SHOWN):
        output.out.print(f"  {moment_in_words(moment)}")
