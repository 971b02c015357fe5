"""Listing a bucket over several key ranges at once, against one list after another.

The storage is a list of keys in memory that takes a fixed time for each answer, as a storage far away does; what is
measured is how well the waiting overlaps, and what finding the ranges costs.
Run: python benchmarks/listing.py [--json]
"""

from __future__ import annotations

import argparse
import bisect
import hashlib
import json
import resource
import threading
import time
from typing import Any

PAGE = 1000


class DistantStore:
    """`list_objects_v2` over sorted keys; every answer takes `latency_s`."""

    def __init__(self, keys: list[str], latency_s: float) -> None:
        self._keys = sorted(keys)
        self._latency_s = latency_s
        self._lock = threading.Lock()
        self.requests = 0

    def ask(self, **request: Any) -> dict[str, Any]:
        time.sleep(self._latency_s)
        with self._lock:
            self.requests += 1
        prefix = request["Prefix"]
        behind = request.get("ContinuationToken") or request.get("StartAfter") or ""
        start = max(bisect.bisect_left(self._keys, prefix), bisect.bisect_right(self._keys, behind) if behind else 0)
        limit = request["MaxKeys"]
        found = [key for key in self._keys[start : start + limit + 1] if key.startswith(prefix)]
        answer: dict[str, Any] = {"Contents": [{"Key": key, "Size": 1, "ETag": '"e"'} for key in found[:limit]]}
        if len(found) > limit:
            answer |= {"IsTruncated": True, "NextContinuationToken": found[limit - 1]}
        return answer


def shapes(count: int) -> dict[str, list[str]]:
    """Keys as buckets have them."""
    return {
        "dated folders": [f"{2024 + i % 3}/{i % 12 + 1:02d}/{i % 28 + 1:02d}/photo-{i:08d}.jpg" for i in range(count)],
        "one flat folder": [f"archive/originals/IMG_{i:08d}.jpg" for i in range(count)],
        "hashes": [f"{hashlib.sha256(str(i).encode()).hexdigest()}.jpg" for i in range(count)],
    }


def measure(keys: list[str], latency_s: float, *, at_once: bool) -> dict[str, float]:
    from jobs.storage import s3_listing

    store = DistantStore(keys, latency_s)
    head_pages = s3_listing.HEAD_PAGES
    if not at_once:
        s3_listing.HEAD_PAGES = len(keys)  # as if the list were never long enough to be divided
    started = time.perf_counter()
    before = ""
    count = 0
    for info in s3_listing.list_bucket(store.ask, "", ""):  # type: ignore[arg-type]
        assert info.key > before
        before = info.key
        count += 1
    seconds = time.perf_counter() - started
    s3_listing.HEAD_PAGES = head_pages
    assert count == len(keys)
    return {"seconds": seconds, "requests": store.requests, "keys_per_s": count / seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keys", type=int, default=200_000)
    parser.add_argument("--latency-ms", type=float, default=100.0, help="what one answer of the storage takes")
    arguments = parser.parse_args()
    rows = []
    for shape, keys in shapes(arguments.keys).items():
        for at_once in (False, True):
            row = measure(keys, arguments.latency_ms / 1000, at_once=at_once)
            rows.append({"keys": shape, "lists": "several" if at_once else "one", **row})
    if arguments.json:
        print(json.dumps(rows))
        return
    print(f"{arguments.keys:,} keys, {arguments.latency_ms:g} ms an answer")
    print(f"{'keys':<16} {'lists':<8} {'seconds':>8} {'requests':>9} {'keys/s':>9}")
    for row in rows:
        shape = f"{row['keys']:<16} {row['lists']:<8}"
        print(f"{shape} {row['seconds']:>8.1f} {row['requests']:>9,} {row['keys_per_s']:>9,.0f}")
    print(
        f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB, the keys themselves included"
    )


if __name__ == "__main__":
    main()
