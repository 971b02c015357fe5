"""The names in one directory, sorted; in flat memory also where there are millions."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import chain, islice
from pathlib import Path

from jobs.progress import report_progress

#: up to so many names are sorted in memory
IN_MEMORY = 100_000
_CACHE_KIB = 8_192
_NOTED_EVERY = 10_000


def sorted_names(path: bytes) -> Iterator[bytes]:
    """Names by their bytes. Raises OSError, before the first name, when the directory cannot be read."""
    with os.scandir(path) as entries:
        names = _noted(entry.name for entry in entries)
        first = list(islice(names, IN_MEMORY + 1))
        if len(first) <= IN_MEMORY:
            return iter(sorted(first))
        folder = tempfile.TemporaryDirectory(prefix="nclscreen-")
        database = Path(folder.name) / "names.sqlite"
        _write(database, chain(first, names))
    return _read(folder, database)


def _noted(names: Iterator[bytes]) -> Iterator[bytes]:
    """The names, with a sign of life now and then: a directory of millions takes minutes before its first one."""
    for number, name in enumerate(names):
        if number % _NOTED_EVERY == 0:
            report_progress()
        yield name


def _write(database: Path, names: Iterable[bytes]) -> None:
    with closing(sqlite3.connect(database)) as connection:
        for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{_CACHE_KIB}"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("CREATE TABLE names (name BLOB PRIMARY KEY) WITHOUT ROWID")
        # a name may come twice while the directory changes
        connection.executemany("INSERT OR IGNORE INTO names VALUES (?)", ((name,) for name in names))
        connection.commit()


def _read(folder: tempfile.TemporaryDirectory[str], database: Path) -> Iterator[bytes]:
    with folder, closing(sqlite3.connect(database, check_same_thread=False)) as connection:
        for (name,) in connection.execute("SELECT name FROM names ORDER BY name"):
            yield bytes(name)
