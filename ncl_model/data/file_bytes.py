"""The bytes of files that a list or a folder names: untrusted, so neither devices nor files without end are read."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

#: largest file that is read, in bytes; far above any photograph that passes the decoder's limit on pixels
MAX_FILE_BYTES = 1_000_000_000


def read_file(path: Path, *, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """All bytes of a regular file.

    Raises OSError as ``Path.read_bytes`` does, and also for a pipe or device (which could block, or never end) and
    for more than ``max_bytes``.
    """
    try:
        found = path.stat()
    except ValueError as error:  # a zero byte in the name
        raise OSError(errno.EINVAL, "no name of a file", str(path)) from error
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    if found.st_size > max_bytes:
        raise OSError(errno.EFBIG, f"more than {max_bytes:,} bytes", str(path))
    return path.read_bytes()
