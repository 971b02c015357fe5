"""Text from outside as a cell of a spreadsheet: none can run as a formula there."""

from __future__ import annotations

#: what makes a spreadsheet take a cell for a formula, also in full width; see OWASP, "CSV Injection"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe_cell(text: str | None) -> str:
    """The text; an apostrophe in front keeps a spreadsheet from running it."""
    text = text or ""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
