"""What the operating system says, in the words of `jobs.errors`."""

from __future__ import annotations

import errno
import os

from jobs.errors import AccessDenied, ContainerNotFound, ObjectNotFound, StorageError, StorageUnavailable

_GONE = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.EISDIR,
    errno.ENXIO,
    errno.ENODEV,
}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}


def object_error(uri: str, error: OSError) -> StorageError:
    """The error for one file. What is neither missing nor forbidden (a disk or network error) counts as passing."""
    reason = _reason(error)
    if error.errno in _GONE:
        return ObjectNotFound(uri, reason)
    if error.errno in _DENIED:
        return AccessDenied(uri, reason)
    return StorageUnavailable(uri, reason)


def container_error(uri: str, error: OSError) -> StorageError:
    """The error for the folder itself."""
    if error.errno in _GONE:
        return ContainerNotFound(uri, _reason(error))
    return object_error(uri, error)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno is not None else str(error)
