"""Public fakes, for tests and for trying what is built around the job layer.

A clock that is moved instead of waited for, a storage in memory, and a model that is none, whose scores follow from
the pixels alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from sqlalchemy import ColumnElement, literal

from jobs.domain import Fingerprint
from jobs.errors import ModelFailed, ModelMismatch, ModelUnavailable
from jobs.ports import ScoredImage
from jobs.sql.database import epoch_now
from jobs.storage import MemoryStorage
from ncl_model.architecture.config import NclConfig
from ncl_model.imaging.decoding import DecodedImage, decode_image
from ncl_model.inference.scoring import AREA_CUTOFFS

__all__ = ["FixedModels", "MemoryScorer", "MemoryStorage", "MovableClock"]

_SMALL = NclConfig(input_size=64, geometry="fit")


class MovableClock:
    """The database's clock, which a test moves instead of sleeping."""

    def __init__(self) -> None:
        self.offset_s = 0.0
        self._stopped_at: float | None = None

    def __call__(self) -> ColumnElement[float]:
        return (epoch_now() if self._stopped_at is None else literal(self._stopped_at)) + literal(self.offset_s)

    def advance(self, seconds: float) -> None:
        self.offset_s += seconds

    def stop(self) -> None:
        """From now on it stands still until it is moved: on a busy machine seconds pass between two lines of a test."""
        self._stopped_at = time.time()


class FixedModels:
    """A `jobs.ports.ModelHost` that is told which models answer."""

    def __init__(self, *fingerprints: Fingerprint) -> None:
        self.fingerprints = set(fingerprints)

    def ready(self) -> frozenset[Fingerprint]:
        return frozenset(self.fingerprints)


class MemoryScorer:
    """A `jobs.ports.Scorer` without weights: equal images, equal scores. It can be told to misbehave."""

    def __init__(self, config: NclConfig = _SMALL, *, fingerprint: Fingerprint | None = None) -> None:
        """`fingerprint`: jobs pinned to another one are refused; None takes all."""
        self._config = config
        self._fingerprint = fingerprint
        self._lock = threading.Lock()
        self._failing: set[bytes] = set()
        self._scores: dict[bytes, float] = {}
        #: so many of the next calls find nobody
        self.unavailable = 0
        #: (canvas shape, images) of every call so far
        self.calls: list[tuple[tuple[int, ...], int]] = []

    def fail_on(self, data: bytes) -> None:
        """Raise on every batch with this image file in it."""
        self._failing.add(_digest(self._decode(data)))

    def set_score(self, data: bytes, score: float) -> None:
        """Give this image file a score of the caller's choice, NaN included."""
        self._scores[_digest(self._decode(data))] = score

    def score_of(self, data: bytes) -> float:
        """The score that an image file gets, in [0, 1] unless it was set to something else."""
        return self._score(self._decode(data))

    def decode(self, data: bytes, fingerprint: Fingerprint) -> DecodedImage:
        return self._decode(data)

    def _decode(self, data: bytes) -> DecodedImage:
        return decode_image(data, config=self._config)

    def score(self, images: Sequence[DecodedImage], fingerprint: Fingerprint) -> list[ScoredImage]:
        """See `jobs.ports.Scorer.score`."""
        canvases = np.stack([image.pixels for image in images])  # of one shape, as the real one needs them
        with self._lock:
            self.calls.append((canvases.shape[1:], len(images)))
            if self.unavailable > 0:
                self.unavailable -= 1
                raise ModelUnavailable("the model in memory was told to be away")
        if self._fingerprint not in (None, fingerprint):
            raise ModelMismatch(fingerprint, str(self._fingerprint))
        if any(_digest(image) in self._failing for image in images):
            raise ModelFailed("the model in memory was told to fail on an image of this batch")
        return [self._scored(image) for image in images]

    def _scored(self, image: DecodedImage) -> ScoredImage:
        score = self._score(image)
        heat = round(255 * score) if 0 <= score <= 1 else 0
        return ScoredImage(
            score=score,
            tampered_areas=tuple(float(score >= cutoff) for cutoff in AREA_CUTOFFS),
            heatmap=np.full((image.valid_height, image.valid_width), heat, dtype=np.uint8),
        )

    def _score(self, image: DecodedImage) -> float:
        digest = _digest(image)
        return self._scores.get(digest, int.from_bytes(digest[:4], "big") / 0xFFFFFFFF)


def _digest(image: DecodedImage) -> bytes:
    size = image.valid_height.to_bytes(4, "big") + image.valid_width.to_bytes(4, "big")
    return blake2b(size + image.pixels.tobytes(), digest_size=8).digest()
