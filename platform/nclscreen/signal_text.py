"""Signals in words, the same wherever a person looks. They are what the file says; nobody vouches for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.domain.signals import SignalKind
from nclscreen.visible_text import visible_text

#: what each kind says, given its value
_WORDS = {
    SignalKind.SOFTWARE: "written by {}",
    SignalKind.HISTORY: "{} edits written down",
    SignalKind.DATES: "{}",
    SignalKind.THUMBNAIL: "its thumbnail shows something else (correlation {})",
    SignalKind.C2PA: "carries a C2PA manifest, not verified",
}


def signal_sentences(signals: Mapping[str, Any] | None) -> tuple[str, ...]:
    """What a verdict's file says of itself; kinds that this version does not know are left out."""
    said = signals or {}
    return tuple(
        f"the file says: {visible_text(words.format(said[kind.value]))}"
        for kind, words in _WORDS.items()
        if kind.value in said
    )
