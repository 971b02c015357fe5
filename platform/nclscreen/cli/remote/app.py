"""The commands on the other side of an API, put together."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import typer

from jobs.errors import JobsError
from nclscreen.cli.remote import jobs, verdicts
from nclscreen.client import ApiError, ApiUnreachable, Client
from nclscreen.settings import API_KEY

_OPTION = "--api"


def remote_address(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """The address in `--api URL` or `--api=URL` before the command, and the command line without it.

    Raises BadParameter.
    """
    if not arguments or arguments[0].partition("=")[0] != _OPTION:
        return None, list(arguments)
    _, inside, address = arguments[0].partition("=")
    rest = list(arguments[1:])
    if not inside:
        address = rest.pop(0) if rest else ""
    if not address.startswith(("http://", "https://")):
        raise typer.BadParameter("say which: --api http://desk.example.org:8080", param_hint=_OPTION)
    return address, rest


class RefusedFromAfar(JobsError):
    """The API refused, or does not answer."""


def asked_from_afar(address: str, invoke: Callable[[typer.Typer, list[str]], Any], arguments: list[str]) -> Any:
    """What a command line gives there. Raises BadParameter for what is wrong with it, and RefusedFromAfar."""
    if arguments[:1] == ["top"]:
        raise typer.BadParameter(
            "top asks a database, not an API: run it without --api where NCLSCREEN_DATABASE_URL is set; "
            "from afar there are `jobs`, `watch` and /metrics"
        )
    try:
        return invoke(build_remote_app(address), arguments)
    except ApiError as error:
        if error.status == 422:
            raise typer.BadParameter(error.detail or str(error)) from error
        raise RefusedFromAfar(error.detail or str(error)) from error
    except ApiUnreachable as error:
        raise RefusedFromAfar(str(error)) from error
    except ValueError as error:  # a reference that is none
        raise typer.BadParameter(str(error)) from error


def build_remote_app(address: str) -> typer.Typer:
    """The command tree, on the API at this address."""
    app = typer.Typer(
        name="nclscreen",
        help=f"Ask {address}: which photographs were edited, and where? Without --api: this machine's own database.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        add_completion=False,
        rich_markup_mode=None,
    )

    @app.callback()
    def connect(context: typer.Context) -> None:
        """Commands that need the database or a cluster of one's own are not among these."""
        context.obj = context.with_resource(Client(address, os.environ.get(API_KEY)))

    for command in (
        jobs.submit,
        jobs.jobs,
        jobs.job,
        jobs.watch,
        jobs.confirm,
        jobs.pause,
        jobs.resume,
        jobs.cancel,
        jobs.reflag,
        verdicts.flagged,
        verdicts.show,
        verdicts.export,
        verdicts.review,
        verdicts.score,
    ):
        app.command()(command)
    return app
