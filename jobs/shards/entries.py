"""The frozen manifest of one shard as bytes: compressed JSON, about 10-30 bytes an image."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence

from jobs.domain import ImageKey, ImageRef


def pack_entries(entries: Sequence[ImageRef]) -> bytes:
    """Pack the entries; containers are written once each."""
    containers = list(dict.fromkeys(entry.container for entry in entries))
    number = {container: i for i, container in enumerate(containers)}
    roots = {entry.container: entry.root for entry in entries}
    # an entry of files has a stamp behind the rest
    rows = [
        [number[e.container], e.key, e.size, e.etag, e.version_id, *([e.stamp] if e.stamp else [])] for e in entries
    ]
    frozen = {"containers": containers, "roots": [roots[each] for each in containers], "rows": rows}
    document = json.dumps(frozen, separators=(",", ":"), ensure_ascii=False)
    return zlib.compress(document.encode(), level=1)


def unpack_entries(packed: bytes) -> tuple[ImageRef, ...]:
    """The entries in their order."""
    document = json.loads(zlib.decompress(packed))
    containers = document["containers"]
    roots = document.get("roots") or [None] * len(containers)  # older shards have none
    return tuple(
        ImageRef(
            container=containers[n],
            key=ImageKey(key),
            size=size,
            etag=etag,
            version_id=version_id,
            stamp=stamp[0] if stamp else None,
            root=roots[n],
        )
        for n, key, size, etag, version_id, *stamp in document["rows"]
    )
