"""A local folder (or a mounted network share) as object storage."""

from __future__ import annotations

import os
import stat as modes
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from jobs.domain import ImageKey, ObjectInfo
from jobs.errors import JobsError, ObjectNotFound, ObjectTooLarge, StorageError
from jobs.progress import report_progress
from jobs.storage.folder_errors import container_error, object_error
from jobs.storage.folder_keys import path_of
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
    container: str

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

    def check(self, prefix: str = "") -> None:
        """Return if the folder is there and can be listed."""
        del prefix
        try:
            check_open(self._root)
        except OSError as error:
            raise container_error(self.container, error) from error

    @property
    def _root(self) -> bytes:
        return folder_path(self.container)

    def _uri(self, key: ImageKey) -> str:
        return f"{self.container.rstrip('/')}/{key}"


def _refuse_special(uri: str, status: os.stat_result) -> None:
    if not modes.S_ISREG(status.st_mode):
        raise ObjectNotFound(uri, "it is not a regular file")


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
