"""Why a database is not copied."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.errors import JobsError


class CopyRefused(JobsError):
    """What is there does not allow a copy."""


class SourceInUse(CopyRefused):
    """Somebody works on the source: what is done there meanwhile would be lost, or done twice."""

    def __init__(self, why: Sequence[str]) -> None:
        #: who works, and what is held
        self.why = tuple(why)
        super().__init__(
            f"somebody works on the database: {'; '.join(why)}. Whoever does has to end first, and gives back what is "
            "held then. What belonged to a killed one is free a minute or two later"
        )


class CopyDiffers(JobsError):
    """The target gives back other rows than it was given."""

    def __init__(self, table: str) -> None:
        self.table = table
        super().__init__(f"rows of {table} are others in the target than in the source; they were not kept there")
