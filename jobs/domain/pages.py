"""Pages of a list that changes meanwhile: an opaque cursor says after which row the next page begins.

A page begins behind a row's place in the order (a keyset), not after a number of rows: rows that come or go between two
pages make no other row appear twice or not at all.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from jobs.errors import InvalidCursor

Item = TypeVar("Item")
#: what a row is ordered by, in JSON types
Place = tuple[Any, ...]

_DIGEST_DIGITS = 12
_LONGEST = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Page(Generic[Item]):
    """Some rows of a list, in its order."""

    items: tuple[Item, ...]
    #: where the next page begins; None when this is the last one
    next_cursor: str | None = None


def filter_digest(document: dict[str, Any]) -> str:
    """What was asked for, as 12 hex digits."""
    canonical = json.dumps(document, sort_keys=True).encode("utf-8", "surrogatepass")
    return hashlib.sha256(canonical).hexdigest()[:_DIGEST_DIGITS]


def encode_cursor(place: Sequence[Any], digest: str) -> str:
    """A cursor behind `place` in the list that `digest` stands for; letters, digits, "-" and "_"."""
    packed = json.dumps([digest, *place], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decode_cursor(cursor: str, digest: str, kinds: Sequence[type]) -> Place:
    """The place behind which the page begins; `kinds` are the types of its parts.

    Raises InvalidCursor: it is none, or belongs to a list with other filters.
    """
    try:
        if len(cursor) > _LONGEST:
            raise ValueError
        found, *place = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
        if not isinstance(found, str) or len(found) != _DIGEST_DIGITS:
            raise ValueError
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise InvalidCursor("it is not one that was given out") from None
    if found != digest:
        raise InvalidCursor("it belongs to a list with other filters; begin that list anew, without a cursor")
    if len(place) != len(kinds) or any(type(part) is not kind for part, kind in zip(place, kinds, strict=True)):
        raise InvalidCursor("it is not one that was given out")
    return tuple(place)
