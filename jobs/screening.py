"""Screening one shard: fetch -> decode -> score -> verdict, overlapped and bounded. One bad image costs no other."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256

from jobs.corpus import OpenStorage
from jobs.domain import ImageRef, Lease, Verdict
from jobs.errors import ErrorCode, HeatmapsUnavailable, InvalidSource, ModelFailed, StorageError, StorageUnavailable
from jobs.ports import HeatmapStore, ScoredImage, Scorer
from jobs.work_queue import MAX_ATTEMPTS, failed_verdict
from ncl_model.decoding import DecodedImage
from ncl_model.errors import ImageUnreadable

#: batches of one shard under way at the model at once
_BATCHES_AT_MODEL = 2
#: images that wait for others of their canvas shape, in batches; beyond it a batch goes before it is full
_BATCHES_WAITING = 4
#: a shard is tried again as a whole when at least this share of its images failed for a passing reason
_STORE_AWAY_SHARE = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class ScreeningLimits:
    """Bounds of what one shard holds in memory and takes on."""

    #: images fetched and decoded at once
    fetchers: int = 4
    #: images in one call to the model
    batch_size: int = 8
    #: larger objects are not downloaded
    max_image_bytes: int = 256 * 1024 * 1024

    @property
    def most_decoded_images(self) -> int:
        """So many decoded images of one shard are in memory at most: fetched, waiting for a batch, at the model."""
        return 2 * self.fetchers + (_BATCHES_WAITING + _BATCHES_AT_MODEL + 1) * self.batch_size


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Item:
    """One image on its way."""

    ordinal: int
    entry: ImageRef
    image: DecodedImage
    digest: str
    size: int


class ShardScreener:
    """Turns a leased shard into verdicts. One instance may screen several shards at once."""

    def __init__(
        self,
        *,
        open_storage: OpenStorage,
        scorer: Scorer,
        heatmaps: HeatmapStore,
        keep_heatmap: Callable[[bool], bool],
        limits: ScreeningLimits,
    ) -> None:
        """`keep_heatmap` says, given whether an image is flagged, if its heatmap is kept."""
        self._open_storage = open_storage
        self._scorer = scorer
        self._heatmaps = heatmaps
        self._keep_heatmap = keep_heatmap
        self._limits = limits

    def screen(self, lease: Lease) -> list[Verdict]:
        """One verdict for each image of the shard, in order.

        Raises:
            ModelUnavailable, ModelMismatch: no verdicts are possible now, or at all.
            StorageUnavailable: the store is away: half of the shard or more could not be read for passing reasons.
                Not at the last attempt, which keeps what it got.
            HeatmapsUnavailable, StorageError: heatmaps cannot be kept now, or at all.
        """
        run = _Run(self._limits)
        with ExitStack() as stack:
            fetching = stack.enter_context(ThreadPoolExecutor(self._limits.fetchers, thread_name_prefix="fetch"))
            scoring = stack.enter_context(ThreadPoolExecutor(_BATCHES_AT_MODEL, thread_name_prefix="score"))
            stack.callback(fetching.shutdown, wait=False, cancel_futures=True)
            stack.callback(scoring.shutdown, wait=False, cancel_futures=True)
            for item in self._items(lease, fetching):
                if isinstance(item, Verdict):
                    run.add([item])
                else:
                    run.queue(item, lambda batch: scoring.submit(self._score, lease, batch))
            run.flush(lambda batch: scoring.submit(self._score, lease, batch))
        if lease.attempt < MAX_ATTEMPTS:
            self._refuse_when_store_is_away(run.verdicts)
        return sorted(run.verdicts, key=lambda verdict: verdict.ordinal)

    def _items(self, lease: Lease, pool: ThreadPoolExecutor) -> Iterator[_Item | Verdict]:
        """Images in order, each decoded or failed; at most twice as many in memory as there are fetchers."""
        window: deque[Future[_Item | Verdict]] = deque()
        for offset, entry in enumerate(lease.entries):
            if len(window) >= 2 * self._limits.fetchers:
                yield window.popleft().result()
            window.append(pool.submit(self._fetch, lease, lease.first_ordinal + offset, entry))
        while window:
            yield window.popleft().result()

    def _fetch(self, lease: Lease, ordinal: int, entry: ImageRef) -> _Item | Verdict:
        fingerprint = lease.model.fingerprint
        try:
            storage = self._open_storage(entry.container)
            data = storage.read(entry.key, version_id=entry.version_id, max_bytes=self._limits.max_image_bytes)
            image = self._scorer.decode(data)
        except StorageError as error:
            return failed_verdict(entry, ordinal, fingerprint, error.code, error.reason)
        except InvalidSource as error:
            return failed_verdict(entry, ordinal, fingerprint, ErrorCode.NOT_FOUND, error.reason)
        except ImageUnreadable as error:
            return failed_verdict(entry, ordinal, fingerprint, ErrorCode(error.code), str(error))
        return _Item(ordinal=ordinal, entry=entry, image=image, digest=sha256(data).hexdigest(), size=len(data))

    def _score(self, lease: Lease, batch: Sequence[_Item]) -> list[Verdict]:
        """Verdicts of one batch. When the model fails on it, halves are tried until the culprit stands alone."""
        try:
            scored = self._scorer.score([item.image for item in batch], lease.model.fingerprint)
        except ModelFailed as error:
            if len(batch) == 1:
                return [_model_error(lease, batch[0], str(error))]
            half = len(batch) // 2
            return self._score(lease, batch[:half]) + self._score(lease, batch[half:])
        return [self._verdict(lease, item, result) for item, result in zip(batch, scored, strict=True)]

    def _verdict(self, lease: Lease, item: _Item, scored: ScoredImage) -> Verdict:
        if not all(0 <= value <= 1 for value in (scored.score, *scored.tampered_areas)):  # NaN is not, either
            return _model_error(lease, item, f"the model gave no score between 0 and 1, but {scored.score}")
        flagged = scored.score >= lease.threshold
        map_uri = self._save(lease, item.ordinal, scored) if self._keep_heatmap(flagged) else None
        return Verdict(
            ordinal=item.ordinal,
            container=item.entry.container,
            key=item.entry.key,
            score=scored.score,
            flagged=flagged,
            tampered_areas=scored.tampered_areas,
            map_uri=map_uri,
            width=item.image.width,
            height=item.image.height,
            sha256=item.digest,
            etag=item.entry.etag,
            version_id=item.entry.version_id,
            size=item.size,
            fingerprint=lease.model.fingerprint,
        )

    def _save(self, lease: Lease, ordinal: int, scored: ScoredImage) -> str:
        try:
            return self._heatmaps.save(lease, ordinal, scored.heatmap)
        except StorageUnavailable as error:
            raise HeatmapsUnavailable(error.uri, error.reason) from error

    @staticmethod
    def _refuse_when_store_is_away(verdicts: Sequence[Verdict]) -> None:
        away = [verdict for verdict in verdicts if verdict.error_code is ErrorCode.TIMEOUT]
        if away and len(away) >= _STORE_AWAY_SHARE * len(verdicts):
            raise StorageUnavailable(
                away[0].container,
                f"{len(away)} of {len(verdicts)} images could not be read: {away[0].error_message}",
            )


Submit = Callable[[Sequence[_Item]], "Future[list[Verdict]]"]


class _Run:
    """The verdicts of one shard so far, and its images that wait for a full batch: one batch per canvas shape."""

    def __init__(self, limits: ScreeningLimits) -> None:
        self._batch_size = limits.batch_size
        self._waiting: dict[tuple[int, ...], list[_Item]] = defaultdict(list)
        self._at_model: deque[Future[list[Verdict]]] = deque()
        self.verdicts: list[Verdict] = []

    def add(self, verdicts: Sequence[Verdict]) -> None:
        self.verdicts.extend(verdicts)

    def queue(self, item: _Item, submit: Submit) -> None:
        batch = self._waiting[item.image.pixels.shape]
        batch.append(item)
        if len(batch) == self._batch_size:
            self._submit(self._waiting.pop(item.image.pixels.shape), submit)
        elif sum(map(len, self._waiting.values())) >= _BATCHES_WAITING * self._batch_size:
            fullest = max(self._waiting, key=lambda shape: len(self._waiting[shape]))
            self._submit(self._waiting.pop(fullest), submit)

    def flush(self, submit: Submit) -> None:
        for batch in self._waiting.values():
            self._submit(batch, submit)
        self._waiting.clear()
        while self._at_model:
            self.add(self._at_model.popleft().result())

    def _submit(self, batch: Sequence[_Item], submit: Submit) -> None:
        if len(self._at_model) >= _BATCHES_AT_MODEL:
            self.add(self._at_model.popleft().result())
        self._at_model.append(submit(batch))


def _model_error(lease: Lease, item: _Item, message: str) -> Verdict:
    return failed_verdict(item.entry, item.ordinal, lease.model.fingerprint, ErrorCode.MODEL_ERROR, message)
