"""Figures as people and programs read them: text, CSV and Markdown. Names of files are untrusted text."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence

from ncl_model.shown_text import one_line

#: a spreadsheet takes text that begins with one of these for a formula
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def number(value: float, digits: int = 3) -> str:
    """Fixed digits; "-" for a figure that is not defined."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def with_interval(value: float, interval: tuple[float, float] | None) -> str:
    """ "0.342 (0.290-0.391)"; without an interval where there is none."""
    if interval is None or math.isnan(value) or math.isnan(interval[0]):
        return number(value)
    return f"{value:.3f} ({interval[0]:.3f}-{interval[1]:.3f})"


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned with spaces, the first to the left, the others to the right."""
    shown = [[one_line(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in shown) for column in range(len(head))]
    lines = []
    for row in shown:
        cells = [row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A GitHub table; nothing in a cell can end it or become markup."""
    lines = ["| " + " | ".join(map(markdown_text, row)) + " |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]]) + "\n"


def csv_text(rows: Iterable[Mapping[str, object]], columns: Sequence[str]) -> str:
    """Rows under a head, as ``csv_row`` writes them."""
    return csv_row(columns) + "".join(csv_row([row.get(column) for column in columns]) for row in rows)


def csv_row(cells: Iterable[object]) -> str:
    """One line. Numbers in full, NaN and None as nothing, text that a spreadsheet would run behind an apostrophe."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow([_cell(cell) for cell in cells])
    return buffer.getvalue()


def markdown_text(text: str) -> str:
    """Text in which no character is markup."""
    return "".join(f"\\{char}" if char in "\\|`*_<>[]" else char for char in one_line(text))


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int | float):
        return repr(value)
    text = str(value).encode("utf-8", "backslashreplace").decode()
    return f"'{text}" if text.startswith(_FORMULA) else text
