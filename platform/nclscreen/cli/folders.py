"""Folders that are to be written to at the end of long work, looked at before it begins."""

from __future__ import annotations

import os
from pathlib import Path

import typer


def check_folder(folder: Path, option: str) -> None:
    """Return where files can be put into `folder`, or it can be made; it is not. Raises BadParameter."""
    there = nearest(folder)
    if not there.is_dir():
        raise typer.BadParameter(f"{option} {str(folder)!r}: {there} is no folder")
    if not may_write(there):
        raise typer.BadParameter(f"{option} {str(folder)!r}: no permission to write into {there}; name another folder")


def nearest(folder: Path) -> Path:
    """The folder itself, or what is there on the way to it."""
    there = folder.absolute()
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    return there


def may_write(folder: Path) -> bool:
    """Whether this user may make files in a folder that is there."""
    return os.access(folder, os.W_OK | os.X_OK)
