"""From a container's URI to its storage."""

from __future__ import annotations

from jobs.domain import Container
from jobs.errors import InvalidSource
from jobs.storage.base import ObjectStorage, S3Options
from jobs.storage.folder import FolderStorage
from jobs.storage.s3 import S3Storage


def open_storage(container: Container, options: S3Options) -> ObjectStorage:
    """The storage of a container URI as `parse_source` gives it. Connects to nothing yet.

    Raises:
        InvalidSource: the container is neither a folder nor a bucket.
    """
    if container.startswith("s3://"):
        return S3Storage(container, options)
    if container.startswith("file:///"):
        return FolderStorage(container)
    raise InvalidSource(container, "a container is s3://bucket or file:///absolute/folder")
