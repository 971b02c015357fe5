"""Keys of files: the relative path with "/", or, where that is not text, the percent-quoted bytes of it."""

from __future__ import annotations

import os
from urllib.parse import quote, unquote_to_bytes

from jobs.domain import ImageKey
from jobs.errors import AccessDenied, ObjectNotFound

#: starts the key of a path that is not valid UTF-8; a path that really starts so is quoted too, so a key means one file
BYTES_MARK = "file-bytes:"


def key_of(relative: bytes) -> ImageKey:
    """The key of a path relative to the container's folder."""
    try:
        text = relative.decode("utf-8")
    except UnicodeDecodeError:
        return ImageKey(BYTES_MARK + quote(relative))
    return ImageKey(BYTES_MARK + quote(relative) if text.startswith(BYTES_MARK) else text)


def path_of(root: bytes, key: ImageKey) -> bytes:
    """The path a key stands for, always below `root`. (Symbolic links below it are followed when it is opened.)

    Raises:
        AccessDenied: the key is absolute or climbs out with "..".
        ObjectNotFound: no file can have this name.
    """
    relative = relative_bytes(key)
    if relative.startswith(b"/") or b".." in relative.split(b"/"):
        raise AccessDenied(key, "the key leads out of the folder")
    if not relative or b"\0" in relative:
        raise ObjectNotFound(key, "no file can have this name")
    return os.path.join(root, relative)


def relative_bytes(key: ImageKey) -> bytes:
    """The path of a key, relative to the container's folder, unchecked. Raises ObjectNotFound."""
    if key.startswith(BYTES_MARK):
        return unquote_to_bytes(key.removeprefix(BYTES_MARK))
    try:
        return key.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ObjectNotFound(ascii(key), "no file can have this name") from error
