"""Where snapshots are kept for good: photographs and drawings by their hashes, and what was learnt from which."""

from __future__ import annotations

from jobs.domain import ImageKey
from jobs.storage import ObjectStorage


class SnapshotArchive:
    """Objects `snapshots/...` in one place. What is there is never written again with other bytes: names are hashes."""

    def __init__(self, storage: ObjectStorage, prefix: str) -> None:
        self._storage = storage
        self._prefix = prefix.strip("/")

    def keep_photograph(self, sha256: str, data: bytes) -> str:
        """Gives its URI. Raises StorageError."""
        return self._write(f"snapshots/photographs/{sha256}", data, "application/octet-stream")

    def keep_contents(self, sha256: str, text: str) -> str:
        """Gives its URI. Raises StorageError."""
        return self._write(f"snapshots/{sha256}.json", text.encode(), "application/json")

    def keep_drawing(self, sha256: str, png: bytes) -> str:
        """Gives its URI. Raises StorageError."""
        return self._write(f"snapshots/drawings/{sha256}.png", png, "image/png")

    def drawing(self, sha256: str) -> bytes:
        """Raises ObjectNotFound, StorageError."""
        return self._storage.read(self._key(f"snapshots/drawings/{sha256}.png"))

    def photograph(self, sha256: str) -> bytes:
        """Raises ObjectNotFound, StorageError."""
        return self._storage.read(self._key(f"snapshots/photographs/{sha256}"))

    def _write(self, name: str, data: bytes, content_type: str) -> str:
        return self._storage.write(self._key(name), data, content_type=content_type)

    def _key(self, name: str) -> ImageKey:
        return ImageKey(f"{self._prefix}/{name}" if self._prefix else name)
