"""How a corpus is cut into shards: small ones first, so that results show soon and small corpora still spread over
all workers; large ones later, so that ten million images do not make a million rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

FIRST_SHARD = 8
LARGEST_SHARD = 512
#: so many shards of one size before the size doubles
SHARDS_PER_SIZE = 8


def shard_sizes(first: int = FIRST_SHARD, largest: int = LARGEST_SHARD, *, behind: int = 0) -> Iterator[int]:
    """Endless sizes: 8 shards of `first` images, 8 of twice as many, and so on up to `largest`.

    `behind` leaves out the shards that hold the first so many images.
    """
    sizes = _all_sizes(first, largest)
    passed = 0
    while passed < behind:
        passed += next(sizes)
    return sizes


def _all_sizes(first: int, largest: int) -> Iterator[int]:
    size = min(first, largest)
    while size < largest:
        for _ in range(SHARDS_PER_SIZE):
            yield size
        size = min(2 * size, largest)
    while True:
        yield largest


def cut(entries: Iterable[T], sizes: Iterator[int]) -> Iterator[list[T]]:
    """Cut a stream into lists of the given sizes, holding one list at a time; the last may be shorter."""
    shard: list[T] = []
    size = next(sizes)
    for entry in entries:
        shard.append(entry)
        if len(shard) == size:
            yield shard
            shard, size = [], next(sizes)
    if shard:
        yield shard
