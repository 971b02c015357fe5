"""A folder, listed to its leaves: streaming, in a stable order, safe against loops and unreadable corners."""

from __future__ import annotations

import logging
import os
import stat as modes
from collections.abc import Iterator
from dataclasses import dataclass

from jobs.domain import Container, ImageKey, ObjectInfo
from jobs.errors import StorageUnavailable
from jobs.storage.folder_errors import container_error
from jobs.storage.folder_keys import BYTES_MARK, key_of, relative_bytes
from jobs.storage.folder_names import sorted_names
from jobs.storage.folder_stamps import stamp_of

logger = logging.getLogger(__name__)

_Identity = tuple[int, int]


@dataclass(slots=True)
class _Level:
    """One open directory on the way down."""

    #: relative to the root, with a slash at the end; b"" for the root
    path: bytes
    identity: _Identity
    names: Iterator[bytes]
    #: on the way to where an earlier walk ended: what is left of that path, this level's name first
    behind: tuple[bytes, ...] = ()


def walk(root: bytes, container: Container, prefix: str, after: ImageKey | None = None) -> Iterator[ObjectInfo]:
    """Objects below `root` whose keys start with `prefix`, sorted by name inside each directory.

    `after` begins behind that key. Holds the names of the directories on the current path, nothing else. Links are
    followed; a directory that is its own ancestor is skipped with a warning; one that cannot be read is an object
    itself, a `closed_folder`, so that it is not lost without a word.

    Raises:
        ContainerNotFound, AccessDenied: the root itself cannot be read.
        StorageUnavailable: another folder lies there than when the walk began: what is missing is not gone.
    """
    try:
        status = os.stat(root)
        behind = tuple(relative_bytes(after).rstrip(b"/").split(b"/")) if after is not None else ()
        levels = [_Level(b"", _identity(status), _names(root), behind)]
    except OSError as error:
        raise container_error(container, error) from error
    began = levels[0].identity
    while levels:
        level = levels[-1]
        name = next(level.names, None)
        if name is None:
            levels.pop()
            continue
        rest = _behind(level, name)
        if rest is None:
            continue
        path = level.path + name
        found = _stat(os.path.join(root, path))
        if found is not None and modes.S_ISDIR(found.st_mode):
            entered = _enter(root, path, found, levels, rest) if _may_hold(path, prefix) else None
            if isinstance(entered, _Level):
                levels.append(entered)
            elif entered is not None:
                yield entered
            elif _may_hold(path, prefix):
                _check_same(root, container, began)
            continue
        if found is None:
            _check_same(root, container, began)
        info = object_info(path, found)
        if info.key.startswith(prefix):
            yield info
    _check_same(root, container, began)


def _behind(level: _Level, name: bytes) -> tuple[bytes, ...] | None:
    """What is left of the way to where an earlier walk ended, below this name; None for what it has passed."""
    if not level.behind or name > level.behind[0]:
        return ()
    return level.behind[1:] or None if name == level.behind[0] else None


def object_info(relative: bytes, found: os.stat_result | None) -> ObjectInfo:
    """The record of one file; without a status (dangling link, link loop) or for a device it has no size."""
    if found is None:
        return ObjectInfo(key=key_of(relative))
    if not modes.S_ISREG(found.st_mode):
        return ObjectInfo(key=key_of(relative), modified_at=found.st_mtime)
    stamp = stamp_of(found)
    return ObjectInfo(key=key_of(relative), size=found.st_size, modified_at=found.st_mtime, stamp=stamp)


def _enter(
    root: bytes, path: bytes, found: os.stat_result, above: list[_Level], behind: tuple[bytes, ...]
) -> _Level | ObjectInfo | None:
    """The directory as a level to walk, or as an object where it cannot be read; nothing where it contains itself."""
    identity = _identity(found)
    if any(level.identity == identity for level in above):
        logger.warning("skipped %s: the folder contains itself", os.fsdecode(os.path.join(root, path)))
        return None
    try:
        return _Level(path + b"/", identity, _names(os.path.join(root, path)), behind)
    except FileNotFoundError:
        return None  # removed in the meantime
    except OSError as error:
        logger.warning("cannot list %s: %s", os.fsdecode(os.path.join(root, path)), error.strerror)
        return ObjectInfo(key=key_of(path + b"/"), modified_at=found.st_mtime, closed_folder=True)


def check_open(folder: bytes) -> None:
    """Return if the folder can be listed and entered. Raises OSError."""
    _check_entry(folder)
    with os.scandir(folder) as entries:
        next(entries, None)


def _check_same(root: bytes, container: Container, began: _Identity) -> None:
    """A mount that goes away while it is walked would look like files that were removed."""
    now = _stat(root)
    if now is None or _identity(now) != began:
        raise StorageUnavailable(container, "the folder went away while it was listed; is something not mounted?")


def _names(folder: bytes) -> Iterator[bytes]:
    _check_entry(folder)
    return sorted_names(folder)


def _check_entry(folder: bytes) -> None:
    os.stat(os.path.join(folder, b"."))  # names can be had without the right to look behind them


def _may_hold(folder: bytes, prefix: str) -> bool:
    """Whether keys below the folder can start with the prefix; quoted keys are not compared, they are looked at."""
    if not prefix or prefix.startswith(BYTES_MARK):
        return True
    inside, wanted = folder + b"/", prefix.encode("utf-8", "surrogatepass")
    return inside.startswith(wanted) or wanted.startswith(inside)


def _stat(path: bytes) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None  # listed all the same, so that it is accounted for; reading it says what is wrong


def _identity(status: os.stat_result) -> _Identity:
    return (status.st_dev, status.st_ino)
