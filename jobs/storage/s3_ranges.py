"""Ranges of keys to list side by side, found with a few questions for "the first key behind this one"."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

#: ranges wanted; more than lists under way, as ranges are of unequal length
RANGES = 32
#: questions asked at most: each is a request of its own
QUESTIONS = 240
#: sorts behind whatever follows a beginning: the largest code point (a key made of these is nobody's)
_LAST = "\U0010ffff" * 4

FirstKey = Callable[[str, str], str | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyRange:
    """The keys that begin with `prefix` and sort behind `after`."""

    prefix: str
    after: str
    #: the one key equal to the prefix, not those that are longer
    alone: bool = False

    def behind(self, key: str) -> KeyRange | None:
        """What of it sorts behind the key; None when that is nothing."""
        if key <= self.after:
            return self
        last = self.prefix if self.alone else self.prefix + _LAST
        return replace(self, after=key) if last > key else None

    def holds(self, key: str) -> bool:
        """Whether the key belongs to it; guards against storages that do not heed StartAfter."""
        return (key == self.prefix if self.alone else key.startswith(self.prefix)) and key > self.after


def divide(first_key: FirstKey, prefix: str, after: str, *, at_once: int = 1) -> list[KeyRange]:
    """Ranges in the order of their keys that together hold every key below `prefix` behind `after`.

    `first_key(prefix, after)` gives the first such key of the bucket; it is asked from `at_once` threads. The
    beginnings are made longer, the shortest first, until there are about RANGES of them, or QUESTIONS are used up.
    """
    asking = _Asking(first_key, after)
    ranges = [KeyRange(prefix=prefix, after=after)]
    whole: set[str] = set()
    with ThreadPoolExecutor(at_once, thread_name_prefix="range") as pool:
        while len(ranges) < RANGES and asking.left > 0:
            open_ones = [each.prefix for each in ranges if not each.alone and each.prefix not in whole]
            shortest = sorted(open_ones, key=len)[:at_once]
            if not shortest:
                break
            for beginning, parts in zip(shortest, pool.map(asking.parts, shortest), strict=True):
                if parts is None or len(parts) < 2:
                    whole.add(beginning)
                    continue
                place = next(i for i, each in enumerate(ranges) if each.prefix == beginning and not each.alone)
                ranges[place : place + 1] = parts
    return ranges


class _Asking:
    """The questions, counted."""

    def __init__(self, first_key: FirstKey, after: str) -> None:
        self._ask = first_key
        self._after = after
        self.left = QUESTIONS

    def parts(self, prefix: str) -> list[KeyRange] | None:
        """The range of a prefix in parts; None where the storage gives no sense, or the questions run out."""
        first = self._first(prefix, self._after)
        if first is None:
            return None
        prefix = self._common(prefix, first)
        parts: list[KeyRange] = []
        at: str | None = first
        while at is not None:
            if self.left <= 0 or not at.startswith(prefix):
                return None
            alone = at == prefix
            beginning = prefix if alone else at[: len(prefix) + 1]
            if parts and beginning <= parts[-1].prefix:
                return None  # it does not heed StartAfter, or does not sort
            parts.append(KeyRange(prefix=beginning, after=self._after, alone=alone))
            at = self._first(prefix, prefix if alone else beginning + _LAST)
        return parts

    def _common(self, prefix: str, first: str) -> str:
        """The longest beginning that all keys from the first one on share."""
        low, high = len(prefix), len(first)
        while low < high and self.left > 0:
            middle = (low + high + 1) // 2
            if self._first(prefix, first[:middle] + _LAST) is None:
                low = middle
            else:
                high = middle - 1
        return first[:low]

    def _first(self, prefix: str, after: str) -> str | None:
        self.left -= 1
        return self._ask(prefix, after)
