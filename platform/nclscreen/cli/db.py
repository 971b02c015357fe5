"""`db check`, `db upgrade`, `db copy`, `db snapshot`, `db restore`, `db vacuum`: the database as a whole."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from jobs.sql.backups import Backup
from nclscreen.cli import output
from nclscreen.cli.copying import copied_in_words, progress
from nclscreen.quantities import size_in_words
from nclscreen.services.clearing_out import clear_out, give_back_room
from nclscreen.services.database import (
    DatabaseStatus,
    database_status,
    keep_database,
    restore_database,
    upgrade_database,
)
from nclscreen.services.database_copy import copy_to
from nclscreen.wiring import wire

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def check(as_json: Json = False) -> None:
    """Say how the database stands beside this program, and change nothing. Fails where an upgrade is needed."""
    found = database_status(wire())
    if as_json:
        output.print_json({"ok": found.ok, **asdict(found)})
    else:
        output.out.print(f"{found.url}: {_in_words(found)}", markup=False, soft_wrap=True)
    if not found.ok:
        raise typer.Exit(output.FAILED)


def upgrade(as_json: Json = False) -> None:
    """Bring the schema up to date; jobs may run meanwhile."""
    before = upgrade_database(wire(), lambda line: output.err.print(line, markup=False))
    if as_json:
        output.print_json({"before": before.revision, "now": before.head, "applied": list(before.pending)})
    elif before.is_current:
        output.out.print(f"nothing to do: the schema is at revision {before.head}")
    else:
        output.out.print(f"the schema is at revision {before.head} now, it was at {before.revision or 'none'}")


def copy(
    target_url: Annotated[
        str,
        typer.Argument(metavar="TARGET_URL", help="An empty database, as NCLSCREEN_DATABASE_URL would name it."),
    ],
    as_json: Json = False,
) -> None:
    """Copy everything into an empty database, work under way included, and compare it.

    Killed, the same command goes on. Nobody may work on the database meanwhile; reading it is possible.
    """
    with progress() as told:
        url, copied = copy_to(wire(), target_url, told)
    if as_json:
        output.print_json({"target": url, **asdict(copied)})
        return
    output.out.print(copied_in_words(url, copied), markup=False, soft_wrap=True)


def snapshot(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where it is to be.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: Json = False,
) -> None:
    """Keep everything as one file, beside the work; PostgreSQL needs pg_dump for it."""
    _say("kept", keep_database(wire(), file, force=force), as_json)


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What 'nclscreen db snapshot' wrote.")],
    force: Annotated[bool, typer.Option("--force", help="Replace what is in the database.")] = False,
    as_json: Json = False,
) -> None:
    """Put such a file back, as a whole or not at all; nobody may work on the database meanwhile."""
    _say("put back", restore_database(wire(), file, force=force), as_json)


def vacuum(
    keep_days: Annotated[
        float | None, typer.Option("--keep-days", help="Clear out jobs that ended more than so many days ago.", min=0)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: Json = False,
) -> None:
    """Clear out old jobs, and give back the room of rows that are gone.

    Verdicts and manifests of these jobs go; the jobs stay with their counts, and so does what people looked at.
    """
    wiring, gone = wire(), None
    with output.err.status("looking for old jobs") as status:
        if keep_days is not None:

            def told(job_id: str, verdicts: int) -> None:
                status.update(f"clearing out job {job_id}: {verdicts:,} verdicts so far")

            gone = clear_out(wiring, keep_days, dry_run=dry_run, told=told)
        if not dry_run:
            status.update("giving back room")
            give_back_room(wiring)
    if as_json:
        output.print_json({"dry_run": dry_run, "vacuumed": not dry_run, "cleared_out": gone and asdict(gone)})
        return
    if gone is not None:
        for why in gone.kept.values():
            output.err.print(f"stays: {why}", markup=False)
        what = f"{gone.verdicts:,} verdicts and {gone.shards:,} shards of {len(gone.jobs):,} jobs"
        output.out.print(f"{'would remove' if dry_run else 'removed'} {what}", markup=False)
    if not dry_run:
        output.out.print("vacuumed")


def _say(done: str, found: Backup, as_json: bool) -> None:
    if as_json:
        document = {"path": str(found.path), "size": found.size, "schema": asdict(found.schema)}
        output.print_json(document)
        return
    older = "" if found.schema.is_current else f"; 'nclscreen db upgrade' brings it to {found.schema.head}"
    said = f"{done}: {found.path}, {size_in_words(found.size)}, schema revision {found.schema.revision}{older}"
    output.out.print(said, markup=False, soft_wrap=True)


def _in_words(found: DatabaseStatus) -> str:
    schema = found.schema
    pooled = ", behind a pooler by transactions ('db upgrade' needs the server itself)" if found.pooled else ""
    if schema.is_current:
        return f"schema is current (revision {schema.head}){pooled}"
    if schema.is_empty:
        return f"empty, its tables are made by the first command that uses it{pooled}"
    what_next = "the next command upgrades it" if found.automatic else "upgrade it with: nclscreen db upgrade"
    return f"schema is at revision {schema.revision}, {schema.head} is needed; {what_next}{pooled}"
