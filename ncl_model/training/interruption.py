"""Ctrl-C and SIGTERM ask a run to save and end; another one, later, ends it at once."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: people press Ctrl-C twice; what comes within so many seconds is the same wish
_ONE_WISH_S = 3.0


class Stop:
    """Whether, and by which signal, the run was asked to stop."""

    def __init__(self) -> None:
        self.signal: int | None = None
        #: when it was asked for, by the monotonic clock
        self.at = 0.0

    def __call__(self) -> bool:
        return self.signal is not None

    def ask(self, number: int = signal.SIGINT) -> None:
        self.signal = number
        self.at = time.monotonic()


@contextmanager
def heeding_signals() -> Iterator[Stop]:
    """Turn the first SIGINT or SIGTERM into a wish; one that comes seconds later raises KeyboardInterrupt.

    After a wish SIGINT stays heeded, so that the second press of somebody impatient does not break off the program's
    ending. Outside the main thread, where signals do not arrive, nothing is changed.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def heed(number: int, frame: FrameType | None) -> None:
        if not stop():
            stop.ask(number)
        elif time.monotonic() - stop.at > _ONE_WISH_S:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, heed) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            if not (stop() and number == signal.SIGINT):
                signal.signal(number, handler)
