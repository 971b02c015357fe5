"""Text from outside, and what both databases take of it: no NUL, no half of a surrogate pair."""

from __future__ import annotations


def storable(text: str | None, limit: int = 500) -> str | None:
    """The text with what cannot be stored replaced, and not endless."""
    if text is None:
        return None
    return text.replace("\x00", "�").encode("utf-8", "replace").decode()[:limit]


def is_storable(text: str) -> bool:
    """Whether a database can keep the text exactly as it is."""
    return "\x00" not in text and storable(text, limit=len(text)) == text
