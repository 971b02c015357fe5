"""What `db copy` shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jobs.sql.copying import Copied
from jobs.sql.copying.copies import Told
from nclscreen.cli import output


@contextmanager
def progress() -> Iterator[Told]:
    """Which table, and how far; on a terminal one line, in a log a line for each table that is done."""
    if not output.err.is_terminal:
        yield _a_line_for_each
        return
    with output.err.status("looking at both databases") as status:
        yield lambda table, rows, total: status.update(f"copying {table}: {rows:,} of {total:,} rows")


def _a_line_for_each(table: str, rows: int, total: int) -> None:
    if rows == total and rows:
        output.err.print(f"{table}: {rows:,} rows", markup=False)


def copied_in_words(url: str, copied: Copied) -> str:
    """What was done, and what is to be done."""
    rows = sum(table.rows for table in copied.tables)
    there = rows - sum(table.written for table in copied.tables)
    before = f" ({there:,} were there already)" if copied.resumed else ""
    return (
        f"copied {rows:,} rows of {len(copied.tables)} tables{before}, each compared; now let everything use it:\n"
        f"NCLSCREEN_DATABASE_URL={url}"
    )
