"""Looking at the database while it may be away for a moment: restarted, failed over, too busy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from jobs.sql.errors import DATABASE_AWAY
from nclscreen.cli.output import err

T = TypeVar("T")

_PAUSE_S = 1.0


def patiently(look: Callable[[], T], *, limit_s: float = 300.0) -> T:
    """What `look` gives; tried again while the database is away. Raises what it raised last after `limit_s`."""
    began = time.monotonic()
    told = False
    while True:
        try:
            return look()
        except DATABASE_AWAY:
            if time.monotonic() - began > limit_s:
                raise
            if not told:
                err.print("the database is away; waiting for it")
                told = True
            time.sleep(_PAUSE_S)
