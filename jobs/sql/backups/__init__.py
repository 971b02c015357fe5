"""A database as one file, and back: SQLite by its own online backup, PostgreSQL by its own programs."""

from jobs.sql.backups.backups import Backup, restore, snapshot
from jobs.sql.backups.errors import (
    BackupRefused,
    DatabaseFilled,
    DatabaseInUse,
    FileInTheWay,
    OtherKind,
    ProgramMissing,
)

__all__ = [
    "Backup",
    "BackupRefused",
    "DatabaseFilled",
    "DatabaseInUse",
    "FileInTheWay",
    "OtherKind",
    "ProgramMissing",
    "restore",
    "snapshot",
]
