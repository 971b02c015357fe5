"""How far a long count has come: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from nclscreen.cli import output
from nclscreen.visible_text import visible_text

_LINE_EVERY_S = 5.0


class Counting(Protocol):
    """Told (done, total, what is counted) as often as one likes."""

    def __call__(self, done: int, total: int, name: str) -> None: ...


@contextmanager
def counting(unit: str = "images") -> Iterator[Counting]:
    """Show counts on standard error while the block runs; a bar for each name."""
    if not output.err.is_terminal:
        yield _Lines(unit)
        return
    # names are untrusted: no markup in them
    name = TextColumn("{task.description}", markup=False)
    with Progress(name, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=output.err) as progress:
        yield _Bars(progress)


class _Lines:
    """A line now and then, where there is no terminal."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._next = time.monotonic() + _LINE_EVERY_S

    def __call__(self, done: int, total: int, name: str) -> None:
        now = time.monotonic()
        if now >= self._next or done == total:
            self._next = now + _LINE_EVERY_S
            output.err.print(f"{visible_text(name)}: {done:,}/{total:,} {self._unit}", markup=False)


class _Bars:
    """A bar per name, on a terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, done: int, total: int, name: str) -> None:
        task = self._tasks.get(name)
        if task is None:
            task = self._tasks[name] = self._progress.add_task(visible_text(name), total=total)
        self._progress.update(task, completed=done)
