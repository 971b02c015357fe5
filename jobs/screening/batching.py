"""Batches for the model, filled across shards. A batch that fails is halved until the culprit is found."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from jobs.domain import Fingerprint
from jobs.errors import ModelFailed
from jobs.ports import ScoredImage, Scorer
from ncl_model.imaging.decoding import DecodedImage

#: batches of one worker under way at the model at once: one is scored while the next one travels
BATCHES_AT_MODEL = 2
#: an image waits for others of its canvas shape until so many batches' worth of images came after it
BATCHES_WAITING = 4


class Waiting(Protocol):
    """A decoded image on its way, as the batcher sees it."""

    @property
    def image(self) -> DecodedImage: ...

    @property
    def fingerprint(self) -> Fingerprint:
        """Of the model that is to score it."""

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits for its score."""

    def deliver(self, result: ScoredImage | Exception | None) -> None:
        """Called once, from any thread: a score, what the model raised, or None when it was not wanted any more.

        ModelFailed means that this image alone is at fault. Must not raise.
        """


@dataclass(slots=True)
class _Group:
    """Images of one canvas shape that wait for a full batch."""

    #: how many images had come before the first one
    since: int
    items: list[Waiting] = field(default_factory=list)


class Batcher:
    """Collects images of any shard and sends them to the model in batches of one size, as far as they come.

    A batch goes when it is full, when `BATCHES_WAITING` batches' worth of images came since its first one (so that a
    rare shape never waits for long), or at `flush`, when no more images are to come.
    """

    def __init__(self, scorer: Scorer, batch_size: int) -> None:
        self._scorer = scorer
        self._batch_size = batch_size
        self._pool = ThreadPoolExecutor(BATCHES_AT_MODEL, thread_name_prefix="score")
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, tuple[int, ...]], _Group] = {}
        self._came = 0
        self._last_came = time.monotonic()

    def add(self, item: Waiting) -> None:
        """Take one image; returns at once."""
        kind = item.fingerprint, item.image.pixels.shape
        with self._lock:
            self._waiting.setdefault(kind, _Group(since=self._came)).items.append(item)
            self._came += 1
            self._last_came = time.monotonic()
            due = [kind for kind, group in self._waiting.items() if self._is_due(group)]
            self._send([self._waiting.pop(kind) for kind in due])

    def flush(self) -> None:
        """Send what waits, also batches that are not full."""
        with self._lock:
            self._send(list(self._waiting.values()))
            self._waiting.clear()

    def flush_idle(self, idle_s: float) -> None:
        """The same when no image came for so many seconds: others are to come, and nobody knows when."""
        if time.monotonic() - self._last_came >= idle_s:
            self.flush()

    def close(self) -> None:
        """Take no more; what is at the model is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _is_due(self, group: _Group) -> bool:
        late = self._came - group.since >= BATCHES_WAITING * self._batch_size
        return late or len(group.items) >= self._batch_size

    def _send(self, groups: Sequence[_Group]) -> None:
        for group in groups:
            self._pool.submit(self._score, group.items)

    def _score(self, batch: Sequence[Waiting]) -> None:
        wanted = []
        for item in batch:
            if item.wanted:
                wanted.append(item)
            else:
                item.deliver(None)
        if wanted:
            self._score_wanted(wanted)

    def _score_wanted(self, items: Sequence[Waiting]) -> None:
        try:
            scored = self._scorer.score([item.image for item in items], items[0].fingerprint)
            pairs = list(zip(items, scored, strict=True))
        except ModelFailed as error:
            if len(items) == 1:
                items[0].deliver(error)
            else:
                half = len(items) // 2
                self._score(items[:half])
                self._score(items[half:])
        except Exception as error:  # noqa: BLE001 - whoever waits for the image raises it
            for item in items:
                item.deliver(error)
        else:
            for item, result in pairs:
                item.deliver(result)
