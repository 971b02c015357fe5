"""Ctrl-C and SIGTERM ask a run to save and end; a second one ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether, and by which signal, the run was asked to stop."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self) -> bool:
        return self.signal is not None

    def ask(self, number: int = signal.SIGINT) -> None:
        self.signal = number


@contextmanager
def heeding_signals() -> Iterator[Stop]:
    """Turn the first SIGINT or SIGTERM into a wish; the second raises KeyboardInterrupt.

    Outside the main thread, where signals do not arrive, it changes nothing.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def heed(number: int, frame: FrameType | None) -> None:
        if stop():
            raise KeyboardInterrupt
        stop.ask(number)

    before = {number: signal.signal(number, heed) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
