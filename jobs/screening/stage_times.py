"""How long the stages of an image take where it is screened: told to whoever keeps figures, beside the work itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from jobs.domain import Fingerprint, ImageRef, Lease
from jobs.ports import HeatmapStorage, ScoredImage, Scorer
from jobs.spans import Timed
from jobs.storage import Fetched, ObjectStorage, OpenStorage
from ncl_model.imaging.decoding import DecodedImage

#: fetch, decode and save are of one image; score is of one batch, with the wait for a replica
STAGES = ("fetch", "decode", "score", "save")
#: hears a stage and its seconds, also where it failed; called from several threads, and must not raise
NoteTime = Callable[[str, float], None]


class TimedScorer:
    """A `jobs.ports.Scorer` that tells how long decoding and scoring took."""

    def __init__(self, scorer: Scorer, note: NoteTime) -> None:
        self._scorer = scorer
        self._note = note

    def decode(self, data: bytes, fingerprint: Fingerprint) -> DecodedImage:
        with _timed("decode", self._note):
            return self._scorer.decode(data, fingerprint)

    def score(self, images: Sequence[DecodedImage], fingerprint: Fingerprint) -> list[ScoredImage]:
        with _timed("score", self._note):
            return self._scorer.score(images, fingerprint)


class TimedHeatmaps:
    """A `jobs.ports.HeatmapStorage` that tells how long keeping a heatmap took."""

    def __init__(self, heatmaps: HeatmapStorage, note: NoteTime) -> None:
        self._heatmaps = heatmaps
        self._note = note

    def serves(self, uri: str) -> bool:
        return self._heatmaps.serves(uri)

    def save(self, lease: Lease, ordinal: int, heatmap: NDArray[np.uint8]) -> str:
        with _timed("save", self._note):
            return self._heatmaps.save(lease, ordinal, heatmap)


def timed_storages(open_storage: OpenStorage, note: NoteTime) -> OpenStorage:
    """The same storages, which tell how long fetching took."""
    return lambda container: cast(ObjectStorage, _TimedStorage(open_storage(container), note))


class _TimedStorage:
    def __init__(self, storage: ObjectStorage, note: NoteTime) -> None:
        self._storage = storage
        self._note = note

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def fetch(self, image: ImageRef, *, max_bytes: int | None = None) -> Fetched:
        with _timed("fetch", self._note):
            return self._storage.fetch(image, max_bytes=max_bytes)


@contextmanager
def _timed(stage: str, note: NoteTime) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    finally:
        took_s = time.perf_counter() - began
        note(stage, took_s)
        if (totals := current_totals()) is not None:
            totals.add(stage, took_s)


class StageTotals:
    """How long the stages of one shard took, over its images. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: by stage: when the first image began and the last one ended, images, their seconds added up
        self._found: dict[str, tuple[float, float, int, float]] = {}

    def add(self, stage: str, took_s: float) -> None:
        """A stage of an image, which ended just now."""
        now = time.time()
        with self._lock:
            began, _, images, seconds = self._found.get(stage, (now - took_s, now, 0, 0.0))
            self._found[stage] = min(began, now - took_s), now, images + 1, seconds + took_s

    def parts(self) -> tuple[Timed, ...]:
        """One for each stage: images overlap, so that their seconds are more than its time."""
        with self._lock:
            return tuple(
                Timed(name=stage, began=began, ended=ended, attributes={"images": images, "seconds": seconds})
                for stage, (began, ended, images, seconds) in self._found.items()
            )


_totals: ContextVar[StageTotals | None] = ContextVar("stage totals", default=None)


def current_totals() -> StageTotals | None:
    """Those of the shard that this thread works on, where somebody wants to know."""
    return _totals.get()


@contextmanager
def totalled(totals: StageTotals | None) -> Iterator[None]:
    """What this thread does in the block is of one shard."""
    before = _totals.set(totals)
    try:
        yield
    finally:
        _totals.reset(before)
