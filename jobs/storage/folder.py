"""A local folder (or a mounted network share) as object storage."""

from __future__ import annotations

import os
import stat as modes
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from jobs.domain import Container, ImageKey, ImageRef, ObjectInfo
from jobs.errors import (
    JobsError,
    ObjectChanged,
    ObjectNotFound,
    ObjectTooLarge,
    StorageError,
    StorageUnavailable,
)
from jobs.progress import report_progress
from jobs.storage.base import Fetched
from jobs.storage.folder_errors import container_error, object_error
from jobs.storage.folder_keys import path_of
from jobs.storage.folder_stamps import identity_of, same_identity, same_stamp, stamp_of
from jobs.storage.folder_walk import check_open, object_info, walk
from jobs.storage.lines import iterate_lines
from jobs.storage.uris import folder_container, folder_path

# opening never waits for the other end of a pipe, nor takes over a terminal
_READ_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class FolderStorage:
    """Files below a folder. Keys are relative paths with "/" (see `folder_keys` for names that are not text).

    Links inside the folder are followed, wherever they lead; keys cannot climb out of it.
    """

    #: "file:///absolute/folder", percent-encoded
    container: Container

    @classmethod
    def at(cls, folder: str | os.PathLike[str]) -> FolderStorage:
        """The storage of a folder given by its path."""
        return cls(folder_container(os.path.abspath(os.fsencode(folder))))

    def list_objects(self, prefix: str = "", after: ImageKey | None = None) -> Iterator[ObjectInfo]:
        """Every file below the folder, sorted per directory. Reads one directory's names at a time."""
        return walk(self._root, self.container, prefix, after)

    def stat(self, key: ImageKey) -> ObjectInfo:
        """The file's size and time; a dangling link has neither."""
        path = path_of(self._root, key)
        try:
            os.lstat(path)
            found = os.stat(path)
        except OSError as error:
            if os.path.lexists(path):
                return ObjectInfo(key=key)
            raise object_error(self._uri(key), error) from error
        if modes.S_ISDIR(found.st_mode):
            raise ObjectNotFound(self._uri(key), "it is a folder")
        return object_info(os.path.relpath(path, self._root), found)

    def read(self, key: ImageKey, *, version_id: str | None = None, max_bytes: int | None = None) -> bytes:
        """The file's bytes."""
        if version_id is not None:
            raise ObjectNotFound(self._uri(key), "a folder keeps no versions")
        with self.open(key) as file:
            return _read_bounded(file, self._uri(key), max_bytes)

    def fetch(self, image: ImageRef, *, max_bytes: int | None = None) -> Fetched:
        """The file's bytes, if size and stamp are those that were frozen.

        Where they are not, or the file is not there, it may be the whole folder that went away: StorageUnavailable.
        """
        try:
            if image.version_id is not None:
                raise ObjectNotFound(self._uri(image.key), "a folder keeps no versions")
            return Fetched(data=self._read_frozen(image, max_bytes))
        except (ObjectNotFound, ObjectChanged):
            if image.root is not None:
                self._check_root(image.root)
            raise

    def _read_frozen(self, image: ImageRef, max_bytes: int | None) -> bytes:
        uri = self._uri(image.key)
        with self.open(image.key) as file:
            before = os.fstat(file.fileno())
            _compare(uri, image, before)
            data = _read_bounded(file, uri, max_bytes)
            after = os.fstat(file.fileno())
        if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
            return data
        if image.stamp is not None:
            raise ObjectChanged(uri, "it was written to while it was read")
        raise StorageUnavailable(uri, "it was written to while it was read")

    def open(self, key: ImageKey) -> FileIO:
        """Open a regular file, and nothing else: a pipe or a device is not touched."""
        path = path_of(self._root, key)
        try:
            status = os.stat(path)
            if modes.S_ISDIR(status.st_mode):
                check_open(path)  # else this is what is wrong with it
                raise ObjectNotFound(self._uri(key), "it is a folder; submit it as a job of its own")
            _refuse_special(self._uri(key), status)
            file = FileIO(os.open(path, _READ_FLAGS), "r")
        except OSError as error:
            raise object_error(self._uri(key), error) from error
        try:
            _refuse_special(self._uri(key), os.fstat(file.fileno()))  # it may have been swapped in between
        except JobsError:
            file.close()
            raise
        return file

    def open_lines(self, key: ImageKey) -> Iterator[bytes]:
        """Lines of a text file."""
        try:
            yield from iterate_lines(self.open(key), self._uri(key))
        except OSError as error:
            raise object_error(self._uri(key), error) from error

    def write(self, key: ImageKey, data: bytes, *, content_type: str) -> str:
        """Write beside the target, then rename over it: readers see the old file or the new one. Makes folders."""
        del content_type  # a folder has no place for it; the ending of the name says it
        path = path_of(self._root, key)
        # short whatever the target's name is, and without an image's ending, so that no listing takes it for one
        beside = os.path.join(os.path.dirname(path), f".{uuid.uuid4().hex}.partial".encode())
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            _write_and_rename(beside, path, data)
        except OSError as error:
            raise object_error(self._uri(key), error) from error
        return Path(os.fsdecode(path)).as_uri()

    def check(self, prefix: str = "", *, root: str | None = None) -> None:
        """Return if the folder is there and can be listed; with `root`, if it is that one, and not empty."""
        del prefix
        if root is not None:
            self._check_root(root)
        try:
            check_open(self._root)
        except OSError as error:
            raise container_error(self.container, error) from error

    def identity(self) -> str:
        """Device and inode of the folder."""
        try:
            return identity_of(os.stat(self._root))
        except OSError as error:
            raise container_error(self.container, error) from error

    def _check_root(self, frozen: str) -> None:
        """Raises StorageUnavailable where the folder of before is not there now."""
        try:
            now = identity_of(os.stat(self._root))
            with os.scandir(self._root) as names:
                is_empty = next(names, None) is None
        except OSError as error:
            raise StorageUnavailable(self.container, f"the folder is away: {error.strerror}") from error
        if not same_identity(frozen, now):
            reason = "another folder lies here than when the job was prepared; is something not mounted?"
            raise StorageUnavailable(self.container, reason)
        if is_empty:
            raise StorageUnavailable(self.container, "the folder is empty, and had images when the job was prepared")

    @property
    def _root(self) -> bytes:
        return folder_path(self.container)

    def _uri(self, key: ImageKey) -> str:
        return f"{self.container.rstrip('/')}/{key}"


def _refuse_special(uri: str, status: os.stat_result) -> None:
    if not modes.S_ISREG(status.st_mode):
        raise ObjectNotFound(uri, "it is not a regular file")


def _compare(uri: str, image: ImageRef, now: os.stat_result) -> None:
    """Raises ObjectChanged."""
    if image.size is not None and image.size != now.st_size:
        raise ObjectChanged(uri, f"it has {now.st_size} bytes now, it had {image.size}")
    if image.stamp is not None and not same_stamp(image.stamp, stamp_of(now)):
        raise ObjectChanged(uri, "it was written or replaced since the job was prepared")


def _read_bounded(file: FileIO, uri: str, max_bytes: int | None) -> bytes:
    try:
        if max_bytes is None:
            return file.readall()
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise _too_large(uri, size, max_bytes)
        data = _read_up_to(file, max_bytes + 1)
    except OSError as error:
        raise object_error(uri, error) from error
    if len(data) > max_bytes:
        raise _too_large(uri, len(data), max_bytes)
    return data


def _read_up_to(file: FileIO, limit: int) -> bytes:
    """Up to `limit` bytes; the buffer grows with the file, not with the limit."""
    parts = bytearray()
    while len(parts) < limit and (part := file.read(min(limit - len(parts), 1 << 20))):
        report_progress()
        parts += part
    return bytes(parts)


def _too_large(uri: str, size: int, limit: int) -> StorageError:
    return ObjectTooLarge(uri, f"{size} bytes or more, the limit is {limit}")


def _write_and_rename(beside: bytes, path: bytes, data: bytes) -> None:
    try:
        with FileIO(os.open(beside, _WRITE_FLAGS, 0o666), "w") as file:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
        os.replace(beside, path)
    except OSError:
        if os.path.lexists(beside):
            os.unlink(beside)
        raise
