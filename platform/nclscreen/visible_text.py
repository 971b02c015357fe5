"""Names of images as people may safely see them: whatever hides or reorders text becomes visible.

Keys are untrusted. A name can hold line ends, terminal codes, or marks that turn the reading direction and so
make "gpj.exe" look like "exe.jpg"; here each of those is written as an escape.
"""

from __future__ import annotations

import unicodedata
from itertools import groupby

_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
#: control, format (zero width, direction), surrogate, unassigned, private, line and paragraph separators
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"})


def visible_parts(text: str) -> list[tuple[str, bool]]:
    """The text cut into (piece, was_hidden); hidden characters are escapes such as ``\\n`` or ``\\u202e``."""
    return [
        ("".join(_escape(char) if hidden else char for char in chars), hidden)
        for hidden, chars in groupby(text, key=_is_hidden)
    ]


def visible_text(text: str) -> str:
    """The text on one line, hidden characters as escapes; everything else, in any script, as it is."""
    return "".join(piece for piece, _ in visible_parts(text))


def shorten_middle(text: str, limit: int) -> str:
    """At most `limit` (at least 3) characters: the beginning, an ellipsis, and more of the end, as in file names."""
    if len(text) <= limit:
        return text
    tail = (limit - 1) * 3 // 5
    return f"{text[: limit - 1 - tail]}…{text[len(text) - tail :]}"


def shorten_end(text: str, limit: int) -> str:
    """At most `limit` (at least 1) characters: the beginning, where sentences say what they are about."""
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


def _is_hidden(char: str) -> bool:
    category = unicodedata.category(char)
    return category in _HIDDEN or (category == "Zs" and char != " ")


def _escape(char: str) -> str:
    code = ord(char)
    if char in _NAMED:
        return _NAMED[char]
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
