"""Folders that are to be written to at the end of long work, looked at before it begins."""

from __future__ import annotations

import os
from pathlib import Path


def nearest(folder: Path) -> Path:
    """The folder itself, or what is there on the way to it."""
    there = folder.absolute()
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    return there


def may_write(folder: Path) -> bool:
    """Whether this user may make files in a folder that is there."""
    return os.access(folder, os.W_OK | os.X_OK)
