"""How a command is told to end from outside."""

from __future__ import annotations

from types import FrameType
from typing import NoReturn


class Terminated(BaseException):
    """SIGTERM arrived: end as with Ctrl-C, cleaning up, but with another exit code."""


def terminate(number: int, frame: FrameType | None) -> NoReturn:
    """A signal handler."""
    raise Terminated
