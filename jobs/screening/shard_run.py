"""One shard on its way: the verdicts so far, and how it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from jobs.domain import ImageRef, Lease, ShardId, Verdict
from jobs.domain.shards import MAX_ATTEMPTS
from jobs.errors import ErrorCode, JobsError, StorageAway, StorageUnavailable
from jobs.progress import progress_to
from jobs.screening.reuse import Recall
from jobs.screening.stage_times import current_totals, totalled

#: a shard is tried again as a whole when at least this share of its images failed for a passing reason
_TROUBLED_SHARE = 0.5
#: so many, and nothing that was read: the storage is away; fewer may be a corner of a disk that is broken for good
_AWAY_IMAGES = 4
#: so many in a row, that took so many seconds: no shard is read to its half for that
_TROUBLED_S = 30.0


class ShardAbandoned(JobsError):
    """Nobody wants the shard any more: its lease is lost, or its job was cancelled."""

    def __init__(self, shard_id: ShardId) -> None:
        self.shard_id = shard_id
        super().__init__(f"shard {shard_id} was abandoned")


class ShardRun:
    """Collects the verdicts of one shard from any thread, until all are there or something ends it."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.recall = Recall(lease.known, trust_etags=lease.trust_etags)
        #: which folders these were when the job was prepared
        self.roots = {entry.container: entry.root for entry in lease.entries}
        #: of whoever attempts it, see `attempt`
        self.stages = current_totals()
        self._verdicts: list[Verdict] = []
        self._to_fetch = len(lease.entries)
        self._aside: list[tuple[int, ImageRef]] = []
        self._anything_read = False
        #: silent images since something was read, and when the first of them was asked for
        self._in_a_row = 0
        self._row_began = time.monotonic()
        self._asked = False
        #: when bytes came or an image went on, and when an image did
        self._alive_at = self._moved_at = time.monotonic()
        self._elsewhere = 0
        #: all of its images were asked for
        self.fed = False
        self._error: Exception | None = None
        self._changed = threading.Condition()

    @property
    def silent(self) -> list[Verdict]:
        """The images that could not be read for passing reasons, also not at their second chance."""
        return [verdict for verdict in self._verdicts if verdict.error_code is ErrorCode.TIMEOUT]

    @property
    def over(self) -> bool:
        """Whether something went wrong: no more verdicts are of use."""
        return self._error is not None

    def progress(self) -> None:
        """Bytes came, or an image went on; from any thread."""
        self._alive_at = time.monotonic()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """What this thread does in the block is for this shard."""
        with progress_to(self.progress), totalled(self.stages):
            yield

    @property
    def silent_s(self) -> float:
        """Seconds without progress; what is at the model, or waits its turn, has limits of its own."""
        return 0.0 if self._elsewhere else time.monotonic() - self._alive_at

    @property
    def stalled_s(self) -> float:
        """Seconds without an image that went on: what drips is not silent, and yet gets nowhere."""
        return 0.0 if self._elsewhere else time.monotonic() - self._moved_at

    @contextmanager
    def waiting_elsewhere(self) -> Iterator[None]:
        """Its silence is somebody else's meanwhile."""
        self.go_elsewhere()
        try:
            yield
        finally:
            self.come_back()

    def go_elsewhere(self) -> None:
        """An image waits for the model, say."""
        with self._changed:
            self._elsewhere += 1

    def come_back(self) -> None:
        """It does not any more."""
        with self._changed:
            self._elsewhere -= 1
            self._alive_at = self._moved_at = time.monotonic()

    def note_read(self) -> None:
        """An image was read, and is on its way to its verdict."""
        with self._changed:
            self._anything_read = True
            self._in_a_row, self._asked = 0, False
            self._row_began = time.monotonic()

    @property
    def in_doubt(self) -> bool:
        """Whether it is time to ask if the storage is there at all: true once for each row of silent images."""
        with self._changed:
            ask = self._in_a_row >= _AWAY_IMAGES and not self._asked and self.lease.attempt < MAX_ATTEMPTS
            self._asked = self._asked or ask
            return ask

    @property
    def is_fetched(self) -> bool:
        """Whether no image is to come."""
        return self._to_fetch == 0

    def note_fetched(self) -> None:
        """An image was read, or cannot be, or need not."""
        with self._changed:
            self._to_fetch -= 1
            self._alive_at = self._moved_at = time.monotonic()
            self._changed.notify_all()

    def put_aside(self, failed: Verdict, entry: ImageRef) -> None:
        """An image could not be read for a passing reason; it gets a second chance when all others were read.

        Where the storage is in trouble, the rest is not asked for.
        """
        with self._changed:
            self._aside.append((failed.ordinal, entry))
            self._in_a_row += 1
            self._judge_storage(failed, len(self._aside))
            self._changed.notify_all()

    def take_aside(self, pause_s: float) -> list[tuple[int, ImageRef]]:
        """Ordinals and entries of what was put aside, after the last image was fetched and a pause; once."""
        with self._changed:
            self._changed.wait_for(lambda: self.over or self._to_fetch == 0)
            if self._aside:
                self._changed.wait_for(lambda: self.over, pause_s)
            taken, self._aside = ([] if self.over else self._aside), []
            self._to_fetch = len(taken)
            return taken

    def add(self, verdict: Verdict) -> None:
        """One more image has its verdict."""
        with self._changed:
            self._verdicts.append(verdict)
            self._alive_at = self._moved_at = time.monotonic()
            if verdict.error_code is ErrorCode.TIMEOUT:
                self._judge_storage(verdict, len(self.silent))
            self._changed.notify_all()

    def fail(self, error: Exception) -> None:
        """End the shard; the first error counts."""
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Whether every verdict is there, or something ended the shard, within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self.over or self._is_whole, timeout_s)

    @property
    def _is_whole(self) -> bool:
        return len(self._verdicts) == len(self.lease.entries)

    def result(self) -> list[Verdict]:
        """Wait for every verdict; gives them in order.

        Raises whatever `fail` was told, and, but for the last attempt, StorageAway or StorageUnavailable for a storage
        in trouble.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.over or self._is_whole)
            if self._error is not None:
                raise self._error
        return sorted(self._verdicts, key=lambda verdict: verdict.ordinal)

    def _judge_storage(self, failed: Verdict, silent: int) -> None:
        """End the shard where so many silent images mean that the storage is in trouble; the last attempt goes on."""
        images = len(self.lease.entries)
        slow = self._in_a_row >= _AWAY_IMAGES and time.monotonic() - self._row_began > _TROUBLED_S
        if self.lease.attempt >= MAX_ATTEMPTS or not (slow or silent >= _TROUBLED_SHARE * images):
            return
        nothing_came = not self._anything_read and len(self.silent) == len(self._verdicts)
        kind = StorageAway if nothing_came and silent >= _AWAY_IMAGES else StorageUnavailable
        reason = f"{silent} of {images} images could not be read: {failed.error_message}"
        self._error = self._error or kind(failed.container, reason)
