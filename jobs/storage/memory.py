"""Object storage in memory: for tests and experiments, with the same behaviour as the real ones."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from jobs.domain import Container, ImageKey, ImageRef, ObjectInfo
from jobs.errors import ObjectChanged, ObjectNotFound, ObjectTooLarge
from jobs.storage.base import Fetched
from jobs.storage.lines import iterate_lines

_MEMORY = Container("memory://objects")


class _Stored(NamedTuple):
    info: ObjectInfo
    data: bytes


@dataclass(slots=True)
class MemoryStorage:
    """Objects of one process, in the order of their keys."""

    container: Container = _MEMORY
    #: the time of the next write, in seconds since the epoch; the caller sets it
    now: float = 0.0
    _objects: dict[ImageKey, _Stored] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def list_objects(self, prefix: str = "", after: ImageKey | None = None) -> Iterator[ObjectInfo]:
        """The objects there were when the listing began."""
        with self._lock:
            found = sorted(key for key in self._objects if key.startswith(prefix) and (after is None or key > after))
        for key in found:
            if (stored := self._objects.get(key)) is not None:
                yield stored.info

    def stat(self, key: ImageKey) -> ObjectInfo:
        """The object's size, ETag and time."""
        return self._get(key).info

    def read(self, key: ImageKey, *, version_id: str | None = None, max_bytes: int | None = None) -> bytes:
        """The object's bytes."""
        if version_id is not None:
            raise ObjectNotFound(self._uri(key), "memory keeps no versions")
        data = self._get(key).data
        if max_bytes is not None and len(data) > max_bytes:
            raise ObjectTooLarge(self._uri(key), f"{len(data)} bytes or more, the limit is {max_bytes}")
        return data

    def fetch(self, image: ImageRef, *, max_bytes: int | None = None) -> Fetched:
        """The object's bytes, if they have the ETag and the size that were frozen."""
        data = self.read(image.key, version_id=image.version_id, max_bytes=max_bytes)
        etag = _etag(data)
        if image.etag not in (None, etag) or image.size not in (None, len(data)):
            raise ObjectChanged(self._uri(image.key), f"its ETag is {etag} now, it was {image.etag}")
        return Fetched(data=data, etag=etag)

    def open(self, key: ImageKey) -> io.BytesIO:
        """The object as a stream."""
        return io.BytesIO(self._get(key).data)

    def open_lines(self, key: ImageKey) -> Iterator[bytes]:
        """Lines of a text object."""
        yield from iterate_lines(io.BytesIO(self._get(key).data), self._uri(key))

    def write(self, key: ImageKey, data: bytes, *, content_type: str) -> str:
        """Put an object."""
        del content_type
        info = ObjectInfo(key=key, size=len(data), etag=_etag(data), modified_at=self.now)
        with self._lock:
            self._objects[key] = _Stored(info, bytes(data))
        return self._uri(key)

    def remove(self, key: ImageKey) -> None:
        """Take an object away, as somebody else might while a job runs."""
        with self._lock:
            self._objects.pop(key, None)

    def check(self, prefix: str = "", *, root: str | None = None) -> None:
        """Memory is always there."""

    def identity(self) -> None:
        """There is one memory."""

    def _get(self, key: ImageKey) -> _Stored:
        stored = self._objects.get(key)
        if stored is None:
            raise ObjectNotFound(self._uri(key), "there is no such object")
        return stored

    def _uri(self, key: ImageKey) -> str:
        return f"{self.container}/{key}"


def _etag(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()  # what S3 does for a plain upload
