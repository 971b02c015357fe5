"""What a file can say of itself."""

from __future__ import annotations

from enum import StrEnum


class SignalKind(StrEnum):
    """What a file can say of itself."""

    #: a program that edits pictures wrote it: text, the program
    SOFTWARE = "software"
    #: edits that a program wrote down: a count
    HISTORY = "history"
    #: saved again after it was taken, or before: text, how much
    DATES = "dates"
    #: its thumbnail shows something else: a number, their correlation
    THUMBNAIL = "thumbnail"
    #: a C2PA manifest is in it, which is not verified: true
    C2PA = "c2pa"
