"""`models`, `model`, `register`, `promote`, `rollback`: which model versions there are, and which one new jobs get."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from jobs.domain.registry import Alias, AliasMove, RegisteredVersion
from nclscreen.cli import output
from nclscreen.cli.query import Json
from nclscreen.quantities import moment_in_words
from nclscreen.services.models import move_document, roll_back, served_at, version_document
from nclscreen.services.models import promote as promote_version
from nclscreen.services.models import register as register_version
from nclscreen.wiring import wire

Version = Annotated[str, typer.Argument(metavar="VERSION", help="A fingerprint, its beginning, champion, challenger.")]
Reason = Annotated[str | None, typer.Option(help="Why, for those who look later.")]


def models(as_json: Json = False) -> None:
    """The registered model versions, the newest first, and which of them new jobs are pinned to."""
    wiring = wire()
    found, champion = wiring.registry.all(), wiring.current_model.fingerprint
    if as_json:
        output.print_json({"champion": champion, "versions": [version_document(each) for each in found]})
        return
    rows = [_row(each, champion) for each in found]
    if champion not in {each.fingerprint for each in found}:
        rows.append((champion[:12], f"{wiring.model.ref.name} (installed)", "champion", "–", "–", "–"))
    output.print_table(("version", "name", "alias", "threshold", "made by", "registered"), rows)


def model(
    version: Version = Alias.CHAMPION.value,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="Instead: the champion at 2026-05-17T10:00Z.")] = None,
    as_json: Json = False,
) -> None:
    """One model version: its figures, where it comes from, and when it was champion."""
    wiring = wire()
    if at is not None:
        _tell_move(served_at(wiring, at), as_json)
        return
    found = wiring.registry.find(version)
    moves = [move for move in wiring.registry.history(Alias.CHAMPION) if move.fingerprint == found.fingerprint]
    if as_json:
        output.print_json(version_document(found) | {"champion_since": [move_document(move) for move in moves]})
        return
    for name, value in version_document(found).items():
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        output.out.print(output.visible(f"{name:<15} {'–' if shown is None else shown}"), soft_wrap=True)
    for move in moves:
        output.out.print(output.visible(f"{'champion':<15} {_words(move)}"), soft_wrap=True)


def register(
    weights: Annotated[
        Path | None, typer.Argument(help="A file that `nclscreen release` wrote; none: the installed.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a file of weights down as a model version, with a copy where every dispatcher finds it."""
    found = register_version(wire(), weights)
    if as_json:
        output.print_json(version_document(found))
    else:
        output.out.print(
            f"registered {found.name} {found.version} as {found.fingerprint}", markup=False, soft_wrap=True
        )


def promote(
    version: Version,
    reason: Reason = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, and change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Have new jobs pinned to this version from now on; jobs that are there stay with theirs."""
    done = promote_version(wire(), version, actor=actor(), reason=reason, dry_run=dry_run)
    if as_json:
        output.print_json(done.document)
        return
    before = "nothing was promoted before" if done.before is None else f"before it was {done.before[:12]}"
    said = "would be" if dry_run else "is"
    named = f"{done.version.name} {done.version.version} ({done.version.fingerprint[:12]})"
    output.out.print(f"{named} {said} champion; {before}", markup=False, soft_wrap=True)


def rollback(reason: Reason = None, as_json: Json = False) -> None:
    """Have new jobs pinned to the champion before this one; nothing is lost, and it can be promoted again."""
    wiring = wire()
    _tell_move(roll_back(wiring, actor=actor(), reason=reason), as_json)


def actor() -> str:
    """Who is at the command line."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


def _row(version: RegisteredVersion, champion: str) -> tuple[str, ...]:
    alias = "champion" if version.fingerprint == champion else ""
    named = f"{version.name} {version.version}"
    made = version.run_id or "registered by hand"
    registered = moment_in_words(version.created_at)
    return (version.fingerprint[:12], named, alias, f"{version.threshold:.3f}", made, registered)


def _tell_move(move: AliasMove | None, as_json: bool) -> None:
    if as_json:
        output.print_json(None if move is None else move_document(move))
    elif move is None or move.fingerprint is None:
        output.out.print("no champion was named then: jobs were pinned to what was installed")
    else:
        output.out.print(output.visible(f"{move.fingerprint} {_words(move)}"), soft_wrap=True)


def _words(move: AliasMove) -> str:
    why = f": {move.reason}" if move.reason else ""
    return f"champion since {moment_in_words(move.moved_at)}, by {move.actor}{why}"
