"""Groups of commands: `data`, `db`, `keys`, `projects`. Each takes the module that has its commands."""

from __future__ import annotations

from types import ModuleType

import typer


def data_app(data: ModuleType) -> typer.Typer:
    """The commands below `data`."""
    app = _group("data", "Look into sets of labelled photographs, and pack them for training.", "inspect photographs")
    for command, epilog in (
        (
            data.inspect,
            "Examples:\n\n  nclscreen data inspect casia1/train authentic/bsds500\n\n"
            "  nclscreen data inspect PACK --json",
        ),
        (data.pack, "Example:\n\n  nclscreen data pack casia1/train authentic/bsds500 --out PACK"),
    ):
        app.command(epilog=epilog)(command)
    return app


def db_app(db: ModuleType) -> typer.Typer:
    """The commands below `db`."""
    app = _group("db", "Look after the database: bring its schema up to date, move it, keep it, clear it out.", "check")
    app.command(epilog="Example:\n\n  nclscreen db check --json")(db.check)
    app.command(epilog="Example:\n\n  nclscreen db upgrade")(db.upgrade)
    app.command(epilog="Example:\n\n  nclscreen db copy postgresql://nclscreen@db.example.org/nclscreen")(db.copy)
    app.command(epilog="Example:\n\n  nclscreen db snapshot 2026-11-28.backup")(db.snapshot)
    app.command(epilog="Example:\n\n  nclscreen db restore 2026-11-28.backup --force")(db.restore)
    app.command(
        epilog="Examples:\n\n  nclscreen db vacuum --keep-days 90 --dry-run\n\n  nclscreen db vacuum --keep-days 90"
    )(db.vacuum)
    return app


def keys_app(keys: ModuleType) -> typer.Typer:
    """The commands below `keys`."""
    app = _group("keys", "Let people and programs in over HTTP, and shut them out.", "list")
    app.command(
        "create",
        epilog="Examples:\n\n  nclscreen keys create 'night desk' --scope read --scope review --lifetime 90d\n\n"
        "  nclscreen keys create importer --scope submit --project archive > importer.key",
    )(keys.create)
    app.command("list", epilog="Example:\n\n  nclscreen keys list --json")(keys.list_)
    app.command("revoke", epilog="Example:\n\n  nclscreen keys revoke 5f0c1a2b3d4e")(keys.revoke)
    return app


def projects_app(keys: ModuleType) -> typer.Typer:
    """The commands below `projects`."""
    app = _group("projects", "Keep jobs of different people apart: a key sees its own project's alone.", "list")
    app.command(
        "create", epilog="Example:\n\n  nclscreen projects create archive --place s3://archive --place /srv/photos"
    )(keys.create_project)
    app.command("limit", epilog="Example:\n\n  nclscreen projects limit default --place s3://archive/2026")(
        keys.limit_project
    )
    app.command("list", epilog="Example:\n\n  nclscreen projects list")(keys.list_projects)
    return app


def schedules_app(schedules: ModuleType) -> typer.Typer:
    """The commands below `schedules`."""
    app = _group("schedules", "Screen what is new, or retrain, again and again.", "list")
    app.command(
        "add",
        epilog="Examples:\n\n  nclscreen schedules add nightly '0 3 * * *' --screen s3://archive/ --zone Europe/Berlin"
        "\n\n  nclscreen schedules add weekly '0 4 * * 0' --retrain retrain.yaml --after-reviews 200",
    )(schedules.add)
    app.command("list", epilog="Example:\n\n  nclscreen schedules list")(schedules.list_)
    app.command("explain", epilog="Example:\n\n  nclscreen schedules explain nightly")(schedules.explain)
    app.command("pause", epilog="Example:\n\n  nclscreen schedules pause nightly")(schedules.pause)
    app.command("resume", epilog="Example:\n\n  nclscreen schedules resume nightly")(schedules.resume)
    app.command("run-now", epilog="Example:\n\n  nclscreen schedules run-now nightly")(schedules.run_now)
    app.command("remove", epilog="Example:\n\n  nclscreen schedules remove nightly")(schedules.remove)
    return app


def _group(name: str, about: str, example: str) -> typer.Typer:
    return typer.Typer(
        name=name,
        help=about,
        epilog=f"Example:\n\n  nclscreen {name} {example}",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
