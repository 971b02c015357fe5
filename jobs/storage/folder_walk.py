"""A folder, listed to its leaves: streaming, in a stable order, safe against loops and unreadable corners."""

from __future__ import annotations

import logging
import os
import stat as modes
from collections.abc import Iterator
from dataclasses import dataclass

from jobs.domain import ImageKey, ObjectInfo
from jobs.storage.folder_errors import container_error
from jobs.storage.folder_keys import BYTES_MARK, key_of, relative_bytes
from jobs.storage.folder_names import sorted_names

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


def walk(root: bytes, container: str, prefix: str, after: ImageKey | None = None) -> Iterator[ObjectInfo]:
    """Objects below `root` whose keys start with `prefix`, sorted by name inside each directory.

    `after` begins behind that key. Holds the names of the directories on the current path, nothing else. Links are
    followed; a directory that is its own ancestor is skipped with a warning, and so is one that cannot be read.

    Raises:
        ContainerNotFound, AccessDenied: the root itself cannot be read.
    """
    try:
        status = os.stat(root)
        behind = tuple(relative_bytes(after).split(b"/")) if after is not None else ()
        levels = [_Level(b"", _identity(status), sorted_names(root), behind)]
    except OSError as error:
        raise container_error(container, error) from error
    while levels:
        level = levels[-1]
        name = next(level.names, None)
        if name is None:
            levels.pop()
            continue
        behind = ()
        if level.behind:
            if name < level.behind[0]:
                continue
            if name == level.behind[0]:
                behind = level.behind[1:]
                if not behind:
                    continue
        path = level.path + name
        found = _stat(os.path.join(root, path))
        if found is not None and modes.S_ISDIR(found.st_mode):
            if _may_hold(path, prefix):
                levels.extend(_enter(root, path, found, levels, behind))
            continue
        info = object_info(path, found)
        if info.key.startswith(prefix):
            yield info


def object_info(relative: bytes, found: os.stat_result | None) -> ObjectInfo:
    """The record of one file; without a status (dangling link, link loop) or for a device it has no size."""
    if found is None:
        return ObjectInfo(key=key_of(relative))
    size = found.st_size if modes.S_ISREG(found.st_mode) else None
    return ObjectInfo(key=key_of(relative), size=size, modified_at=found.st_mtime)


def _enter(
    root: bytes, path: bytes, found: os.stat_result, above: list[_Level], behind: tuple[bytes, ...]
) -> list[_Level]:
    """The directory as a level to walk; nothing, with a warning, where it must not or cannot be entered."""
    identity = _identity(found)
    if any(level.identity == identity for level in above):
        logger.warning("skipped %s: the folder contains itself", os.fsdecode(os.path.join(root, path)))
        return []
    try:
        return [_Level(path + b"/", identity, sorted_names(os.path.join(root, path)), behind)]
    except OSError as error:
        logger.warning("skipped %s: %s", os.fsdecode(os.path.join(root, path)), error.strerror)
        return []


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
