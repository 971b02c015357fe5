"""Why no file is made of a database, or no database of a file."""

from __future__ import annotations

from jobs.errors import JobsError


class BackupRefused(JobsError):
    """What is there does not allow it."""


class ProgramMissing(BackupRefused):
    """PostgreSQL's own programs are not installed here."""

    def __init__(self, name: str, by_hand: str) -> None:
        #: what to run where they are
        self.by_hand = by_hand
        how = f"install PostgreSQL's client programs, or run elsewhere: {by_hand}"
        super().__init__(f"{name} is not on the PATH: {how}")
