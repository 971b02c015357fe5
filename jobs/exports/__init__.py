"""Verdicts as files for other programs: CSV, JSON Lines, Parquet. Written as they are read, in flat memory."""

from jobs.exports.columns import COLUMNS, Column
from jobs.exports.formats import ExportFormat, encoded

__all__ = ["COLUMNS", "Column", "ExportFormat", "encoded"]
