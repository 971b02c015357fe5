"""Errors of the folder for temporary files: it may be full for a while, which is no fault of what was under way."""

from __future__ import annotations

import errno
import sqlite3
import tempfile

from jobs.errors import StorageUnavailable

_PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO, errno.EROFS}
_SQLITE_PASSING = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}


def lack_of_space(error: BaseException) -> StorageUnavailable | None:
    """The error as one that is waited for; None for every other error."""
    if isinstance(error, sqlite3.Error):
        passing = (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _SQLITE_PASSING  # the rest says where it happened
    elif isinstance(error, OSError):
        # what `tempfile` says where it cannot write anywhere
        passing = error.errno in _PASSING or "usable temporary directory" in str(error)
    else:
        passing = False
    if not passing:
        return None
    place = tempfile.tempdir or "/tmp"  # noqa: S108 - only named; asking for it would look for one again
    return StorageUnavailable(place, f"temporary files cannot be written: {error}")
