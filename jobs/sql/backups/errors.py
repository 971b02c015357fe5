"""Why no file is made of a database, or no database of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jobs.errors import JobsError


class BackupRefused(JobsError):
    """What is there does not allow it."""


class FileInTheWay(BackupRefused):
    """Something of this name is there, and nobody said that it may be replaced."""

    def __init__(self, path: Path, *, replaceable: bool) -> None:
        self.path = path
        #: a folder is not
        self.replaceable = replaceable
        super().__init__(f"{path} is there already{'' if replaceable else ', and is no file'}")


class OtherKind(BackupRefused):
    """The file is a snapshot of another kind of database."""

    def __init__(self, path: Path, found: str, wanted: str) -> None:
        self.path = path
        self.found = found
        self.wanted = wanted
        super().__init__(
            f"{path} is a snapshot of {found}, the database is {wanted}: put it back into one of its own kind, and "
            "copy that one"
        )


class DatabaseFilled(BackupRefused):
    """The database has rows, and nobody said that they may be replaced."""

    def __init__(self, table: str) -> None:
        #: one that has rows
        self.table = table
        super().__init__(f"the database has rows, in {table} for one, and nobody said to replace everything")


class DatabaseInUse(BackupRefused):
    """Somebody works on the database that is to be replaced."""

    def __init__(self, why: Sequence[str]) -> None:
        #: who works, and what is held
        self.why = tuple(why)
        super().__init__(f"somebody works on the database: {'; '.join(why)}. Whoever does has to end first")


class ProgramMissing(BackupRefused):
    """PostgreSQL's own programs are not installed here."""

    def __init__(self, name: str, by_hand: str) -> None:
        #: what to run where they are
        self.by_hand = by_hand
        how = f"install PostgreSQL's client programs, or run elsewhere: {by_hand}"
        super().__init__(f"{name} is not on the PATH: {how}")
