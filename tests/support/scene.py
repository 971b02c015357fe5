"""A shard of pictures with everything around it that screening needs."""

from __future__ import annotations

from collections.abc import Sequence

from support.builders import CONTAINER, entry, fill, lease, picture

from jobs.domain import ImageKey, ImageRef, Lease, Verdict
from jobs.screening.heatmaps import StoredHeatmaps
from jobs.screening.limits import ScreeningLimits
from jobs.screening.shard_screener import ShardScreener
from jobs.storage import ObjectStorage
from jobs.testing import MemoryScorer, MemoryStorage

SMALL = ScreeningLimits(fetchers=2, batch_size=4, max_image_bytes=10_000)


class Photos(MemoryStorage):
    """Some keys cannot be read, and perhaps the storage itself is not there."""

    def __init__(self) -> None:
        super().__init__(CONTAINER)
        self.errors: dict[str, Exception] = {}
        #: what `check` raises
        self.answer: Exception | None = None

    def check(self, prefix: str = "", *, root: str | None = None) -> None:
        if self.answer is not None:
            raise self.answer

    def read(self, key: ImageKey, *, version_id: str | None = None, max_bytes: int | None = None) -> bytes:
        if key in self.errors:
            raise self.errors[key]
        return super().read(key, version_id=version_id, max_bytes=max_bytes)


class Scene:
    """A shard of pictures with everything around it."""

    def __init__(self, count: int = 0, *, keep: str = "flagged", limits: ScreeningLimits = SMALL) -> None:
        self.photos = Photos()
        self.maps = MemoryStorage("memory://maps")
        self.scorer = MemoryScorer()
        self.keep = keep
        self.limits = limits
        self.pictures: dict[str, bytes] = {}
        for i in range(count):
            self.put(f"{i:03d}.png", picture(i))

    def put(self, key: str, data: bytes) -> None:
        self.pictures[key] = data
        fill(self.photos, [(key, data)])

    def refs(self) -> list[ImageRef]:
        return [entry(key) for key in self.pictures]

    def screener(self, **parts: object) -> ShardScreener:
        values = {
            "open_storage": lambda container: self.photos,
            "scorer": self.scorer,
            "heatmaps": StoredHeatmaps(self.maps),
            "keep_heatmap": lambda flagged: self.keep == "all" or (self.keep == "flagged" and flagged),
            "limits": self.limits,
            **parts,
        }
        return ShardScreener(**values)  # type: ignore[arg-type]

    def screen(self, images: Sequence[ImageRef] | None = None, **fields: object) -> list[Verdict]:
        with self.screener() as screener:
            return screener.screen(self.lease(images, **fields))

    def lease(self, images: Sequence[ImageRef] | None = None, **fields: object) -> Lease:
        return lease(self.refs() if images is None else images, **{"first_ordinal": 100, **fields})


def codes(verdicts: Sequence[Verdict]) -> list[str | None]:
    return [verdict.error_code for verdict in verdicts]


def screener_over(storage: ObjectStorage) -> ShardScreener:
    """One that reads this storage, scores in memory and keeps no heatmap; to be entered."""
    return ShardScreener(
        open_storage=lambda container: storage,
        scorer=MemoryScorer(),
        heatmaps=StoredHeatmaps(MemoryStorage()),
        keep_heatmap=lambda flagged: False,
        limits=SMALL,
    )
