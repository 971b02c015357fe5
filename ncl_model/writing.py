"""Folders of results: trouble with them as one kind of error, and one process at a time in each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ncl_model.errors import FolderInUse, OutputUnwritable

try:
    import fcntl
except ImportError:  # a system without such locks
    fcntl = None  # type: ignore[assignment]

_LOCK = ".lock"


@contextmanager
def writing(out: Path | None) -> Iterator[None]:
    """Whatever the disk says inside (full, read-only, not a folder) leaves as OutputUnwritable, which names ``out``."""
    try:
        yield
    except OSError as error:
        raise OutputUnwritable(out, error.strerror or str(error)) from error


@contextmanager
def sole_writer(out: Path) -> Iterator[None]:
    """Make the folder, and keep other processes of this machine from writing into it too while the block runs.

    The system frees it when the process ends, however it ends. Raises FolderInUse and OutputUnwritable.
    """
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        file = (out / _LOCK).open("w", encoding="utf-8")
    with file:
        if fcntl is not None:
            try:
                # a record lock: unlike flock, processes that are forked off do not hold it after this one's end
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError) as error:
                raise FolderInUse(out) from error
            except OSError:
                pass  # some network file systems know no locks
        yield


def check_writable(path: Path) -> None:
    """Raise OutputUnwritable now, and not after hours of work, when no file can be put at ``path``."""
    if path.is_dir():
        raise OutputUnwritable(path, "it is a folder, a file is wanted")
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.touch()
        partial.unlink()
