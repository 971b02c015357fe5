"""From a container's URI to its storage, and from a parsed source to its objects."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.domain import ObjectInfo
from jobs.errors import InvalidSource
from jobs.storage.base import ObjectStorage, S3Options
from jobs.storage.folder import FolderStorage
from jobs.storage.s3 import S3Storage
from jobs.storage.uris import ParsedSource


def open_storage(container: str, options: S3Options) -> ObjectStorage:
    """The storage of a container URI as `parse_source` gives it. Connects to nothing yet.

    Raises:
        InvalidSource: the container is neither a folder nor a bucket.
    """
    if container.startswith("s3://"):
        return S3Storage(container, options)
    if container.startswith("file:///"):
        return FolderStorage(container)
    raise InvalidSource(container, "a container is s3://bucket or file:///absolute/folder")


def list_source(storage: ObjectStorage, source: ParsedSource) -> Iterator[ObjectInfo]:
    """The objects a source means: its one file, or the listing of its prefix.

    Raises:
        StorageError: see `ObjectStorage.list_objects` and `ObjectStorage.stat`.
    """
    if source.single_key is not None:
        yield storage.stat(source.single_key)
    else:
        yield from storage.list_objects(source.prefix)
