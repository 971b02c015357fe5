"""Where the images are: a folder, an S3-compatible storage, or memory, all behind one protocol."""

from jobs.storage.base import Fetched, ObjectStorage, OpenStorage, S3Options
from jobs.storage.folder import FolderStorage
from jobs.storage.memory import MemoryStorage
from jobs.storage.opening import open_storage
from jobs.storage.s3 import S3Storage
from jobs.storage.uris import ParsedSource, parse_source, split_object_uri

__all__ = [
    "Fetched",
    "FolderStorage",
    "MemoryStorage",
    "ObjectStorage",
    "OpenStorage",
    "ParsedSource",
    "S3Options",
    "S3Storage",
    "open_storage",
    "parse_source",
    "split_object_uri",
]
