"""How the programs of this package end: what a user can cause is one message and an exit code, never a traceback."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable

from ncl_model.errors import ConfigInvalid, NclModelError
from ncl_model.shown_text import one_line, plain_lines

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


def ended(program: Callable[[], int]) -> int:
    """Run a program and give its exit code; 1 after an error, 2 for wrong usage, 130 after Ctrl-C.

    A reader that went away (``| head``) ends it with 1, and without a word.
    """
    try:
        code = program()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        leave_output()
        return FAILED
    except ConfigInvalid as error:
        return _told(error, WRONG_USAGE)
    except (NclModelError, OSError) as error:
        return _told(error, FAILED)
    return code


def leave_output() -> None:
    """Write nothing more on standard output, also not at the end of the process: nobody reads it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def count(text: str) -> int:
    """An argument that is a whole number from 1 on, for argparse."""
    return _whole(text, 1)


def count_or_none(text: str) -> int:
    """An argument that is a whole number from 0 on, for argparse."""
    return _whole(text, 0)


def amount(text: str) -> float:
    """An argument that is a number above 0, for argparse."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


class ProgressLines:
    """How far a count has come, as a line on standard error now and then."""

    def __init__(self, every_s: float = 10.0) -> None:
        self._every_s = every_s
        self._told = time.monotonic()

    def __call__(self, done: int, total: int, name: str) -> None:
        """``done`` of ``total`` images of what is called ``name``; the last one is always told."""
        now = time.monotonic()
        if now - self._told >= self._every_s or done == total:
            self._told = now
            sys.stderr.write(f"{one_line(name)}: {done}/{total} images\n")


def _whole(text: str, low: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = low - 1
    if number < low:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} on")
    return number


def _told(error: Exception, code: int) -> int:
    sys.stderr.write(f"error: {plain_lines(str(error))}\n")
    return code
