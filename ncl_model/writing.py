"""Results on disk: files that appear whole or not at all, trouble as one kind of error, one process in each folder."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
def replacing(path: Path) -> Iterator[Path]:
    """A place beside ``path`` to write to, which takes its place at the end, and vanishes on an exception.

    A reader sees the old file or the new one. Its name is short, whatever the other's is, and has no image's ending.
    """
    partial = path.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        with suppress(OSError):  # where it could not be made, that is told already; a full disk must not be kept full
            partial.unlink(missing_ok=True)


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
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
