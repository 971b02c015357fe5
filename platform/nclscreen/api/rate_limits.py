"""How often one key may ask: a bucket of tokens for each, in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

#: seconds of the rate that may come at once: a gallery asks for a page of thumbnails
_BURST_S = 10.0
#: beyond this many keys, those that have not asked for long are forgotten
_MOST = 10_000


class RateLimits:
    """Token buckets by key."""

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`per_s`: requests a second that go on for ever."""
        self._per_s = per_s
        self._full = max(1.0, per_s * _BURST_S)
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait_s(self, key_id: str) -> float:
        """Take a token; 0 where there was one, else the seconds until there is."""
        now = self._clock()
        with self._lock:
            left, since = self._buckets.pop(key_id, (self._full, now))
            left = min(self._full, left + (now - since) * self._per_s)
            taken = left >= 1
            self._buckets[key_id] = (left - taken, now)
            while len(self._buckets) > _MOST:
                del self._buckets[next(iter(self._buckets))]  # who asked last stands last
        return 0.0 if taken else (1 - left) / self._per_s
