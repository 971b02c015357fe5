"""How a command is told to end from outside, and how it is left alone while it cleans up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


class Terminated(BaseException):
    """SIGTERM arrived: end as with Ctrl-C, cleaning up, but with another exit code."""


_terminated = threading.Event()


def terminate(number: int, frame: FrameType | None) -> NoReturn:
    """A signal handler."""
    _terminated.set()
    raise Terminated


def heed_termination() -> None:
    """Raise Terminated where it came and got lost: in a destructor, say, where Python drops what is raised.

    For loops that would go on for ever. Not while cleaning up.
    """
    if _terminated.is_set():
        raise Terminated


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C: people press it twice, and the second must not break off the cleaning up after the first.

    SIGTERM and SIGKILL still end it. Does nothing outside the main thread, where signals do not arrive.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
