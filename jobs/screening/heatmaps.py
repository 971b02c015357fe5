"""Heatmaps as grey PNG files in an object storage: 8 bit, 255 = probability 1, never stretched."""

from __future__ import annotations

import io
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.domain import ImageKey, Lease
from jobs.errors import StorageError, StorageUnavailable
from jobs.storage import ObjectStorage


class StoredHeatmaps:
    """Keeps heatmaps under `PREFIX/JOB/ORDINAL-SHARD-FENCE.png`, a thousand images to a folder.

    A holder that comes too late writes beside the heatmap of the one whose verdict counts, not over it. Names never
    contain image keys.
    """

    def __init__(self, storage: ObjectStorage, prefix: str = "") -> None:
        self._storage = storage
        self._prefix = prefix.strip("/")

    def save(self, lease: Lease, ordinal: int, heatmap: NDArray[np.uint8]) -> str:
        """Keep one heatmap, (H, W) uint8; every attempt has a name of its own. Raises StorageError."""
        name = f"{lease.job_id}/{ordinal // 1000:06d}/{ordinal:09d}-{lease.shard_id}-{lease.fence}.png"
        key = ImageKey(f"{self._prefix}/{name}" if self._prefix else name)
        return self._storage.write(key, encode_heatmap(heatmap), content_type="image/png")

    def serves(self, uri: str) -> bool:
        """Whether this heatmap is here and can be found; one of another storage counts as gone.

        Raises StorageUnavailable: nobody can tell now.
        """
        begin = f"{self._storage.container.rstrip('/')}/"
        if not uri.startswith(begin):
            return False
        name = uri.removeprefix(begin)
        try:
            self._storage.stat(ImageKey(unquote(name) if begin.startswith("file:") else name))
        except StorageUnavailable:
            raise
        except StorageError:
            return False
        return True


def encode_heatmap(heatmap: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(heatmap).save(buffer, format="PNG")
    return buffer.getvalue()


def decode_heatmap(png: bytes) -> NDArray[np.uint8]:
    """(H, W) uint8."""
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("L"))
