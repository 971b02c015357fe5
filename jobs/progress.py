"""Signs that work goes on, from the depth where it is done to whoever holds a lease for it.

A storage calls `report_progress` for bytes, pages and names; whoever does a piece of work listens to it in the thread
that does it. Silence means that the work hangs: its lease is kept no longer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


def _nobody() -> None:
    pass


_listener: ContextVar[Callable[[], None]] = ContextVar("progress", default=_nobody)


def report_progress() -> None:
    """Something was done. Cheap, and never raises."""
    _listener.get()()


@contextmanager
def progress_to(listener: Callable[[], None]) -> Iterator[None]:
    """Have `listener` hear of the progress of this thread; it must be quick and must not raise."""
    before = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(before)
