"""Why something could not be copied."""

from __future__ import annotations

from jobs.errors import JobsError
from jobs.masking import masked


class MirrorAway(JobsError):
    """Nobody answers there, or nobody lets us in: the setting's or the network's fault, so it is waited for."""

    def __init__(self, where: str, why: str) -> None:
        self.where = where
        self.why = why
        super().__init__(masked(f"MLflow at {where} cannot be used: {why}"))


class MirrorRefused(JobsError):
    """It answers, and does not take this one thing."""

    def __init__(self, what: str, why: str) -> None:
        self.what = what
        self.why = why
        super().__init__(masked(f"MLflow did not take {what}: {why}"))
