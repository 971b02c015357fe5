"""Screening shards: fetch -> decode -> score -> verdict, overlapped and bounded. One bad image costs no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from hashlib import sha256
from typing import Self

from jobs.domain import Container, ImageRef, Lease, ShardId, Verdict
from jobs.domain.shards import MAX_ATTEMPTS
from jobs.domain.verdicts import failed_verdict
from jobs.errors import (
    ErrorCode,
    HeatmapsUnavailable,
    InvalidCredentials,
    InvalidSource,
    ModelFailed,
    StorageAway,
    StorageError,
    StorageUnavailable,
)
from jobs.ports import HeatmapStorage, KeepHeatmap, ScoredImage, Scorer
from jobs.screening.batching import Batcher
from jobs.screening.decoded_item import DecodedItem
from jobs.screening.limits import ScreeningLimits
from jobs.screening.reuse import deserves_heatmap, taken_over
from jobs.screening.shard_run import ShardAbandoned, ShardRun
from jobs.signals import read_signals
from jobs.storage import OpenStorage
from ncl_model.errors import ImageUnreadable
from ncl_model.imaging.memory_budget import MemoryBudget

#: verdicts made, and heatmaps written, at once
_FINISHERS = 4
#: what an image may get although its storage is what is wrong: away, or fed up with credentials that ran out
_DOUBTFUL = (ErrorCode.TIMEOUT, ErrorCode.ACCESS_DENIED)
#: before images that could not be read are asked for once more
_SECOND_CHANCE_S = 2.0
#: how soon a shard that waits sees that nobody wants it any more, or that it is its turn
_LOOK_UP_S = 0.25
#: a shard of which no image came for so long loses its turn to the next one: its storage is judged meanwhile
_STALLED_S = 2.0
_TURN_POLL_S = 0.02
#: batches go as they are when no image came for so long
_IDLE_S = 0.5
#: what a file is taken for whose size the corpus does not say: so many of them fit in at once
_UNSIZED_FILES = 64


class ShardScreener:
    """Turns leased shards into verdicts, several at once, which share threads, batches and bounds.

    Shards are read one after the other, in the order in which they came: while the model scores the last images of
    one, those of the next are fetched, and batches are filled from both. A shard whose storage is silent holds up no
    other: each has threads of its own to fetch with, room in memory is taken by what was read, and who reads nothing
    loses his turn.
    """

    def __init__(
        self,
        *,
        open_storage: OpenStorage,
        scorer: Scorer,
        heatmaps: HeatmapStorage,
        keep_heatmap: KeepHeatmap,
        limits: ScreeningLimits,
    ) -> None:
        """`keep_heatmap` says, given whether an image is flagged or nearly, if its heatmap is kept."""
        self._open_storage = open_storage
        self._scorer = scorer
        self._heatmaps = heatmaps
        self._keep_heatmap = keep_heatmap
        self._limits = limits
        self._finishing = ThreadPoolExecutor(_FINISHERS, thread_name_prefix="finish")
        self._batcher = Batcher(scorer, limits.batch_size)
        #: one for each decoded image that may be in memory
        self._room = threading.BoundedSemaphore(limits.most_decoded_images)
        #: decoders at work at once, over all shards
        self._decoding = threading.BoundedSemaphore(limits.fetchers)
        #: files that are read or wait to be decoded, over all shards
        self._files = MemoryBudget(limits.most_file_bytes)
        self._lock = threading.Lock()
        self._runs: list[ShardRun] = []
        #: images of all shards that are not fetched yet
        self._to_come = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the threads go; nothing that is under way is waited for."""
        self._batcher.close()
        self._finishing.shutdown(wait=False, cancel_futures=True)

    def screen(self, lease: Lease) -> list[Verdict]:
        """One verdict for each image of the shard, in order.

        Raises:
            ModelUnavailable, ModelMismatch: no verdicts are possible now, or at all.
            StorageAway: the storage does not answer, or not to these credentials (any more): nothing can be read now.
            StorageUnavailable: half of the shard or more could not be read for passing reasons, though the storage
                answers. Not at the last attempt, which keeps what it got; nor is StorageAway.
            HeatmapsUnavailable, StorageError: heatmaps cannot be kept now, or at all.
            ShardAbandoned: somebody called `abandon`.
        """
        run = ShardRun(lease)
        with self._lock:
            self._runs.append(run)
            self._to_come += len(lease.entries)
        fetching = ThreadPoolExecutor(self._limits.fetchers, thread_name_prefix="fetch")
        try:
            with run.waiting_elsewhere():
                self._wait_for_turn(run)
            self._feed(run, fetching, list(enumerate(lease.entries, lease.first_ordinal)))
            run.fed = True
            if again := run.take_aside(_SECOND_CHANCE_S):
                with self._lock:
                    self._to_come += len(again)
                self._feed(run, fetching, again, last=True)
            while not run.wait(_IDLE_S):
                if run.is_fetched:
                    self._batcher.flush_idle(_IDLE_S)
            verdicts = run.result()
            if lease.attempt < MAX_ATTEMPTS:
                for container in sorted({each.container for each in verdicts if each.error_code in _DOUBTFUL}):
                    self._ask(container, run.roots.get(container))
            return verdicts
        except (StorageAway, HeatmapsUnavailable):
            raise
        except StorageUnavailable as error:
            container = Container(error.uri)  # so `ShardRun` names a storage in trouble
            self._ask(container, run.roots.get(container))
            raise
        finally:
            fetching.shutdown(wait=False, cancel_futures=True)
            with self._lock:
                self._runs.remove(run)

    def silence(self) -> Mapping[ShardId, float]:
        """For each shard, seconds since its last byte, image or batch; 0 while it waits its turn."""
        with self._lock:
            return {run.lease.shard_id: run.silent_s for run in self._runs}

    def _wait_for_turn(self, run: ShardRun) -> None:
        """Until those that came before are read, or are over, or stalled."""
        while not run.over:
            with self._lock:
                before = self._runs[: self._runs.index(run)]
            if all(each.fed or each.over or each.stalled_s > _STALLED_S for each in before):
                return
            time.sleep(_TURN_POLL_S)

    def _ask(self, container: Container, root: str | None) -> None:
        """Some images could not be read; whether their storage is there for us at all. Raises StorageAway."""
        try:
            self._open_storage(container).check(root=root)
        except (StorageUnavailable, InvalidCredentials) as away:
            raise StorageAway(away.uri, away.reason) from away
        except StorageError:
            pass  # it answers

    def abandon(self, lease: Lease) -> None:
        """Work no longer on a shard; whoever waits for it gets ShardAbandoned. Does nothing when it is not here."""
        with self._lock:
            runs = [run for run in self._runs if run.lease == lease]
        for run in runs:
            run.fail(ShardAbandoned(lease.shard_id))

    def _feed(
        self, run: ShardRun, fetching: ThreadPoolExecutor, images: Sequence[tuple[int, ImageRef]], *, last: bool = False
    ) -> None:
        """Have the images fetched, a few ahead of those that are read; `last`: without a further chance."""
        ahead = threading.BoundedSemaphore(2 * self._limits.fetchers)
        for done, (ordinal, entry) in enumerate(images):
            while not ahead.acquire(timeout=_LOOK_UP_S):
                if run.over:
                    break
            if run.over:
                self._came(len(images) - done)
                return
            fetching.submit(self._fetch, run, ordinal, entry, last).add_done_callback(lambda _: ahead.release())

    @contextmanager
    def _room_for_file(self, run: ShardRun, entry: ImageRef) -> Iterator[None]:
        """Memory for the file itself. Who has it waits only for decoding, which never waits for it."""
        total = self._files.total
        size = min(entry.size or total // _UNSIZED_FILES, total)
        with ExitStack() as held:
            with run.waiting_elsewhere():
                held.enter_context(self._files.reserve(size))
            yield

    def _find_room(self, run: ShardRun) -> bool:
        """Wait for room for one more decoded image; none is taken for a shard that is over."""
        while not run.over:
            if self._room.acquire(timeout=_LOOK_UP_S):
                return True
        return False

    def _came(self, images: int) -> None:
        """So many images need not be waited for any more; with the last one, batches go as they are."""
        with self._lock:
            self._to_come -= images
            last = self._to_come == 0
        if last:
            self._batcher.flush()

    def _fetch(self, run: ShardRun, ordinal: int, entry: ImageRef, last: bool) -> None:
        try:
            with run.at_work(), self._room_for_file(run, entry):
                found = None if run.over else self._load(run, ordinal, entry)
            if isinstance(found, DecodedItem):
                run.note_read()
                run.go_elsewhere()
                self._batcher.add(found)
            elif found is not None and found.error_code is ErrorCode.TIMEOUT and not last:
                run.put_aside(found, entry)
                if run.in_doubt:
                    self._ask(entry.container, entry.root)
            elif found is not None:
                run.add(found)
        except Exception as error:  # noqa: BLE001 - raised by the thread that waits for the shard
            run.fail(error)
        finally:
            self._came(1)
            run.note_fetched()

    def _load(self, run: ShardRun, ordinal: int, entry: ImageRef) -> DecodedItem | Verdict | None:
        """The image on its way, or its verdict; None when nobody wants it any more."""
        fingerprint = run.lease.model.fingerprint
        try:
            storage = self._open_storage(entry.container)
            if (found := self._take_over(run, ordinal, entry, run.recall.unchanged(entry))) is not None:
                return found
            fetched = storage.fetch(entry, max_bytes=self._limits.max_image_bytes)
            run.progress()
            # what is recorded is what was read, not what a listing said
            read = replace(entry, etag=fetched.etag, version_id=fetched.version_id)
            digest = sha256(fetched.data).hexdigest()
            if (found := self._take_over(run, ordinal, read, run.recall.same_bytes(digest))) is not None:
                return found
            return self._decoded(run, ordinal, read, fetched.data, digest)
        except HeatmapsUnavailable:
            raise  # no fault of this image
        except InvalidCredentials as error:
            if run.lease.attempt < MAX_ATTEMPTS:
                raise StorageAway(error.uri, error.reason) from error  # nor is this: others will be as unknown
            return failed_verdict(entry, ordinal, fingerprint, error.code, error.reason)
        except StorageError as error:
            return failed_verdict(entry, ordinal, fingerprint, error.code, error.reason)
        except InvalidSource as error:
            return failed_verdict(entry, ordinal, fingerprint, ErrorCode.NOT_FOUND, error.reason)
        except ImageUnreadable as error:
            return failed_verdict(entry, ordinal, fingerprint, ErrorCode(error.code), str(error))

    def _decoded(self, run: ShardRun, ordinal: int, entry: ImageRef, data: bytes, digest: str) -> DecodedItem | None:
        """Raises ImageUnreadable."""
        with run.waiting_elsewhere():
            if not self._find_room(run):
                return None
        try:
            with self._decoding:
                image = self._scorer.decode(data, run.lease.model.fingerprint)
                signals = read_signals(data, image)
            return DecodedItem(self.finish, run, ordinal, entry, image, digest, len(data), signals)
        except BaseException:
            self._room.release()
            raise

    def _take_over(self, run: ShardRun, ordinal: int, entry: ImageRef, known: Verdict | None) -> Verdict | None:
        """What is known, as this job's verdict; None where the image must be scored, if only for its heatmap."""
        if known is None:
            return None
        if not self._keep_heatmap(known.score is not None and deserves_heatmap(known.score, run.lease)):
            return taken_over(known, run.lease, ordinal, entry, None)
        if known.map_uri is None or not self._serves(known.map_uri):
            return None
        return taken_over(known, run.lease, ordinal, entry, known.map_uri)

    def _serves(self, uri: str) -> bool:
        try:
            return self._heatmaps.serves(uri)
        except StorageUnavailable as error:
            raise HeatmapsUnavailable(error.uri, error.reason) from error

    def finish(self, item: DecodedItem, result: ScoredImage | Exception | None) -> None:
        """Make the verdict, apart from the model's threads: a slow storage of heatmaps does not hold the next batch."""
        item.run.come_back()
        try:
            self._finishing.submit(self._finish, item, result)
        except RuntimeError:  # closed meanwhile: nobody waits
            self._room.release()

    def _finish(self, item: DecodedItem, result: ScoredImage | Exception | None) -> None:
        try:
            if isinstance(result, ModelFailed):
                item.run.add(item.model_error(str(result)))
            elif isinstance(result, Exception):
                item.run.fail(result)
            elif result is not None and item.wanted:
                item.run.add(self._verdict(item, result))
        except Exception as error:  # noqa: BLE001 - raised by the thread that waits for the shard
            item.run.fail(error)
        finally:
            del item.image  # before another one takes its room
            self._room.release()

    def _verdict(self, item: DecodedItem, scored: ScoredImage) -> Verdict:
        lease = item.run.lease
        if not all(0 <= value <= 1 for value in (scored.score, *scored.tampered_areas)):  # NaN is not, either
            return item.model_error(f"the model gave no score between 0 and 1, but {scored.score}")
        flagged = scored.score >= lease.threshold
        map_uri = (
            self._save(lease, item.ordinal, scored)
            if self._keep_heatmap(deserves_heatmap(scored.score, lease))
            else None
        )
        return Verdict(
            ordinal=item.ordinal,
            container=item.entry.container,
            key=item.entry.key,
            score=scored.score,
            flagged=flagged,
            tampered_areas=scored.tampered_areas,
            evidence=scored.evidence,
            map_uri=map_uri,
            width=item.image.width,
            height=item.image.height,
            sha256=item.digest,
            etag=item.entry.etag,
            version_id=item.entry.version_id,
            size=item.size,
            fingerprint=lease.model.fingerprint,
            signals=item.signals,
        )

    def _save(self, lease: Lease, ordinal: int, scored: ScoredImage) -> str:
        try:
            return self._heatmaps.save(lease, ordinal, scored.heatmap)
        except StorageUnavailable as error:
            raise HeatmapsUnavailable(error.uri, error.reason) from error
