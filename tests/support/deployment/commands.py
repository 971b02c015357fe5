"""Command lines in the files of `deploy/`, held against the programs that they start."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import typer

from nclscreen.cli.app import build_app


class NoSuchCommand(Exception):
    """A command line that its program would refuse."""


def check_command(program: str, words: Sequence[str]) -> None:
    """`program` is nclscreen or ray; nothing is run. Raises NoSuchCommand."""
    command: Any = typer.main.get_command(build_app()) if program == "nclscreen" else _ray()
    rest = list(words)
    while rest and hasattr(command, "commands"):
        if rest[0] not in command.commands:
            raise NoSuchCommand(f"{program} has no command {rest[0]!r}")
        command = command.commands[rest.pop(0)]
    try:
        command.make_context(program, rest)
    except Exception as error:
        raise NoSuchCommand(f"{program} {' '.join(words)}: {error}") from error


def program_of(entrypoint: Sequence[str], arguments: Sequence[str]) -> tuple[str, list[str]]:
    """What a container of our image runs, and with which words, once `tini` and `on_ray ADDRESS` are taken off."""
    words = [*entrypoint, *arguments]
    if words[:2] == ["tini", "--"]:
        words = words[2:]
    if words[0] == "on_ray":
        return "nclscreen", words[2:]
    return words[0], words[1:]


def _ray() -> Any:
    """Ray's command line. It imports Serve, and goes on without where that fails: half of Serve would then stay behind.

    So its warnings are no errors here.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.scripts.scripts import cli

        return cli
