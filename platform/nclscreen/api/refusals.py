"""Why somebody is not let in, or not let do something."""

from __future__ import annotations

import math

from jobs.errors import JobsError


class NotAdmitted(JobsError):
    """Nobody knows who asks."""


class NotAllowed(JobsError):
    """Who asks may not do this."""


class TooManyRequests(JobsError):
    """The key has asked too often."""

    def __init__(self, wait_s: float) -> None:
        #: whole seconds, at least 1
        self.retry_after_s = max(1, math.ceil(wait_s))
        super().__init__(f"too many requests with this key; ask again in {self.retry_after_s} s")
