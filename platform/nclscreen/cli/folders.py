"""Folders that are to be written to at the end of long work, looked at before it begins."""

from __future__ import annotations

from pathlib import Path

import typer

from nclscreen.folders import may_write, nearest


def check_folder(folder: Path, option: str) -> None:
    """Return where files can be put into `folder`, or it can be made; it is not. Raises BadParameter."""
    there = nearest(folder)
    if not there.is_dir():
        raise typer.BadParameter(f"{option} {str(folder)!r}: {there} is no folder")
    if not may_write(there):
        raise typer.BadParameter(f"{option} {str(folder)!r}: no permission to write into {there}; name another folder")
