"""`keys`, `projects`, `audit-log`: who may come in over HTTP, for what, and what they did."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.domain.access import ApiKey, Project, ProjectName, Scope
from nclscreen.cli import output
from nclscreen.cli.query import Json
from nclscreen.quantities import moment_in_words
from nclscreen.services.access import (
    audit_document,
    create_key,
    key_document,
    list_keys,
    make_places,
    project_document,
    revoke_key,
)
from nclscreen.wiring import wire

ProjectOption = Annotated[str | None, typer.Option("--project", help="Of this project; else the default one.")]
Places = Annotated[
    list[str] | None,
    typer.Option("--place", help="s3://bucket/prefix or folder of its images and reports; repeat for more."),
]


def create(
    name: Annotated[str, typer.Argument(help="Of the person or program that gets it.")],
    scope: Annotated[list[Scope], typer.Option("--scope", help="What it is good for; repeat for more.")],
    project: ProjectOption = None,
    lifetime: Annotated[str | None, typer.Option(help="30m, 12h, 90d, 2w; else until it is revoked.")] = None,
    as_json: Json = False,
) -> None:
    """Make an API key. It is printed once, and can never be found out again."""
    key, text = create_key(wire(), name=name, scopes=scope, project=project, lifetime=lifetime)
    if as_json:
        output.print_json(key_document(key) | {"key": text.text})
        return
    print(text.text)  # noqa: T201 - alone on standard output, for scripts
    output.err.print(
        f"key {key.id} of {key.name} for project {key.project}: {_scopes(key)}; keep it, it is shown only now",
        markup=False,
        soft_wrap=True,
    )


def list_(as_json: Json = False) -> None:
    """The API keys, the newest first; the keys themselves are not known."""
    keys = list_keys(wire())
    if as_json:
        output.print_json([key_document(key) for key in keys])
        return
    headings = ("key", "name", "project", "good for", "made", "last used", "ends")
    output.print_table(headings, [_row(key) for key in keys])


def revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="Its id: the part behind ncl_.")], as_json: Json = False
) -> None:
    """Let nobody in with a key any more, at once."""
    key = revoke_key(wire(), key_id)
    if as_json:
        output.print_json(key_document(key))
    else:
        output.out.print(f"key {key.id} of {key.name} lets nobody in any more", markup=False, soft_wrap=True)


def create_project(
    name: Annotated[str, typer.Argument(help="Small letters, digits, hyphens.")],
    place: Places = None,
    as_json: Json = False,
) -> None:
    """Make a project: its keys see its jobs alone. Without --place its jobs may read any bucket, and no folder."""
    _tell_project(wire().projects.create(name, make_places(place or [])), as_json)


def limit_project(
    name: Annotated[str, typer.Argument(help="An existing project, also default.")],
    place: Places = None,
    as_json: Json = False,
) -> None:
    """Say where images and reports of a project may be; it counts for jobs submitted from now on."""
    _tell_project(wire().projects.limit(name, make_places(place or [])), as_json)


def list_projects(as_json: Json = False) -> None:
    """The projects, and where their images and reports may be."""
    found = wire().projects.all()
    if as_json:
        output.print_json([project_document(project) for project in found])
        return
    output.print_table(("project", "places"), [(each.name, str(each.places)) for each in found])


def audit_log(
    project: ProjectOption = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 50,
    as_json: Json = False,
) -> None:
    """What was done over HTTP, and by whom, the newest first."""
    entries = wire().audit_log.page(None if project is None else ProjectName(project), limit).items
    if as_json:
        output.print_json([audit_document(entry) for entry in entries])
        return
    rows = [
        (
            moment_in_words(each.at),
            each.actor,
            each.key_id or "–",
            each.project or "–",
            each.action,
            each.subject,
            str(each.status),
        )
        for each in entries
    ]
    output.print_table(("when", "who", "key", "project", "did", "to", "answer"), rows)


def _tell_project(project: Project, as_json: bool) -> None:
    if as_json:
        output.print_json(project_document(project))
        return
    places = f"its jobs may read and write: {project.places}"
    output.out.print(f"project {project.name}; {places}", markup=False, soft_wrap=True)


def _row(key: ApiKey) -> tuple[str, ...]:
    ends = "revoked" if key.revoked_at is not None else moment_in_words(key.expires_at)
    made, used = moment_in_words(key.created_at), moment_in_words(key.last_used_at)
    return (key.id, key.name, key.project, _scopes(key), made, used, ends)


def _scopes(key: ApiKey) -> str:
    return ", ".join(sorted(scope.value for scope in key.scopes))
