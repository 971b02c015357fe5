"""A database as one file, and back: SQLite by its own online backup, PostgreSQL by its own programs."""

from jobs.sql.backups.backups import Backup, restore, snapshot
from jobs.sql.backups.errors import BackupRefused, ProgramMissing

__all__ = ["Backup", "BackupRefused", "ProgramMissing", "restore", "snapshot"]
