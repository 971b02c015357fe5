"""Files that appear whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ncl_model import writing


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A text file to write (UTF-8); it takes the place of `path` at the end, and vanishes on an exception."""
    with (
        writing.replacing(path) as unfinished,
        unfinished.open("x", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        yield file
