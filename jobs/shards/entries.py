"""The frozen manifest of one shard as bytes: compressed JSON, about 10-30 bytes an image."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence

from jobs.domain import Container, ImageKey, ImageRef


def pack_entries(entries: Sequence[ImageRef]) -> bytes:
    """Pack the entries; containers are written once each."""
    containers = list(dict.fromkeys(entry.container for entry in entries))
    number = {container: i for i, container in enumerate(containers)}
    roots = {entry.container: entry.root for entry in entries}
    rows = [[number[e.container], e.key, e.size, e.etag, e.version_id, *_rest(e)] for e in entries]
    frozen = {"containers": containers, "roots": [roots[each] for each in containers], "rows": rows}
    document = json.dumps(frozen, separators=(",", ":"), ensure_ascii=False)
    return zlib.compress(document.encode(), level=1)


def unpack_entries(packed: bytes) -> tuple[ImageRef, ...]:
    """The entries in their order."""
    document = json.loads(zlib.decompress(packed))
    containers = [Container(each) for each in document["containers"]]
    roots = document.get("roots") or [None] * len(containers)  # older shards have none
    return tuple(
        ImageRef(
            container=containers[n],
            key=ImageKey(key),
            size=size,
            etag=etag,
            version_id=version_id,
            stamp=rest[0] if rest else None,
            root=roots[n],
            case=rest[1] if len(rest) > 1 else None,
        )
        for n, key, size, etag, version_id, *rest in document["rows"]
    )


def _rest(entry: ImageRef) -> list[str | None]:
    """What stands behind the rest, and only where there is something: an entry of files has a stamp."""
    if entry.case:
        return [entry.stamp, entry.case]
    return [entry.stamp] if entry.stamp else []
