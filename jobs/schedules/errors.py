"""What may be wrong with a question about schedules."""

from __future__ import annotations

from jobs.errors import JobsError


class ScheduleNotFound(JobsError):
    """There is no schedule of this name or id."""

    def __init__(self, said: str) -> None:
        self.said = said
        super().__init__(f"there is no schedule {said!r}")
