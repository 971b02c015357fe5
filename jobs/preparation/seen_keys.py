"""Which images a list has named already, in flat memory: the hashes are kept in a temporary SQLite file."""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from jobs.domain import ImageRef

_CACHE_KIB = 8_192


class SeenKeys:
    """A set of image references that grows on disk, not in memory. Use as a context manager."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="nclscreen-")
        self._db = sqlite3.connect(Path(self._folder.name) / "seen.sqlite", check_same_thread=False)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{_CACHE_KIB}"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY) WITHOUT ROWID")

    def add(self, entry: ImageRef) -> bool:
        """Whether the image is new."""
        name = "\0".join((entry.container, entry.key, entry.version_id or ""))
        digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        return self._db.execute("INSERT OR IGNORE INTO seen VALUES (?)", (digest,)).rowcount == 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()
        self._folder.cleanup()
