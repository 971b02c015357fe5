"""A uniform sample of a stream of any length, the same whenever the same names come with the same seed."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable

from jobs.domain import ImageRef


def sample_of(entries: Iterable[ImageRef], count: int, seed: int) -> list[ImageRef]:
    """The `count` entries with the smallest hashes of seed and name, in the order of the stream.

    Every subset is equally likely over the seeds, as the hash knows nothing of the images ("bottom-k sampling",
    Cohen and Kaplan, PODC 2007). An image belongs to the sample or not whatever the order of the stream, and a larger
    sample holds the smaller one. Holds `count` entries, no more.
    """
    # the largest hash kept is on top of the heap, so hashes are negative; places are unique, so entries never compare
    kept: list[tuple[int, int, ImageRef]] = []
    for place, entry in enumerate(entries):
        item = (-_hash(entry, seed), place, entry)
        if len(kept) < count:
            heapq.heappush(kept, item)
        elif item[0] > kept[0][0]:
            heapq.heapreplace(kept, item)
    return [entry for _, _, entry in sorted(kept, key=lambda item: item[1])]


def _hash(entry: ImageRef, seed: int) -> int:
    name = "\0".join((str(seed), entry.container, entry.key, entry.version_id or ""))
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
