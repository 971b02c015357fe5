"""Text that others wrote, such as names of files, as it may be shown on a terminal or in a log."""

from __future__ import annotations


def one_line(text: str) -> str:
    """Characters that are invisible or break lines as escapes such as ``\\n``."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text)


def plain_lines(text: str) -> str:
    """As ``one_line``, but line ends stay."""
    return "\n".join(map(one_line, text.split("\n")))
