"""Copies of weights by fingerprint: what jobs are pinned to can be hosted after an upgrade, too."""

from __future__ import annotations

import threading
from pathlib import Path

from jobs.domain import Fingerprint, ImageKey
from jobs.errors import ObjectNotFound
from jobs.storage import ObjectStorage
from ncl_model.writing import replacing

#: weights beyond this are no weights of ours
MAX_WEIGHTS_BYTES = 2 * 1024**3


class ModelLibrary:
    """Files `FINGERPRINT.safetensors` in one place. A file is written once, and what it holds tells whose it is."""

    def __init__(self, storage: ObjectStorage, prefix: str = "") -> None:
        self._storage = storage
        self._prefix = prefix.strip("/")
        self._lock = threading.Lock()
        self._there: set[Fingerprint] = set()

    def keep(self, fingerprint: Fingerprint, weights: Path) -> None:
        """Copy the file there, unless one is there already. Raises StorageError, OSError."""
        if not self.has(fingerprint):
            data = weights.read_bytes()
            self._storage.write(self._key(fingerprint), data, content_type="application/octet-stream")

    def has(self, fingerprint: Fingerprint) -> bool:
        """Whether there is a copy. Raises StorageError."""
        if fingerprint in self._there:
            return True
        try:
            self._storage.stat(self._key(fingerprint))
        except ObjectNotFound:
            return False
        with self._lock:
            self._there.add(fingerprint)
        return True

    def fetch(self, fingerprint: Fingerprint, path: Path) -> None:
        """Write the copy to a file of this machine, whole or not at all. Raises StorageError, OSError."""
        data = self._storage.read(self._key(fingerprint), max_bytes=MAX_WEIGHTS_BYTES)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            partial.write_bytes(data)

    def place(self, fingerprint: Fingerprint) -> str:
        """The file's URI, whether it is there or not."""
        return f"{self._storage.container.rstrip('/')}/{self._key(fingerprint)}"

    def _key(self, fingerprint: Fingerprint) -> ImageKey:
        name = f"{fingerprint}.safetensors"
        return ImageKey(f"{self._prefix}/{name}" if self._prefix else name)
