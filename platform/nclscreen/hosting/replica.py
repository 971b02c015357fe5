"""One replica of a hosted model: loads weights, scores batches."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.domain import Fingerprint
from ncl_model.imaging.native_blocks import NativeBlocks
from nclscreen.catalog import ModelVersion, WeightsNotFound
from nclscreen.hosting.reply import Reply, joined

logger = logging.getLogger(__name__)

#: images that a CPU replica scores at once: each needs memory of its own, some hundred megabytes at 1024 pixels
_MOST_STREAMS = 4
#: what follows from a forward pass of a GPU is done beside the next one, by so many threads
_FINISHERS = 4
#: an ill replica takes so many seconds for each answer: one that fails fast looks idle, and would get all the traffic
ILL_PAUSE_S = 2.0


class Streams:
    """How a replica divides its threads: so many images at once, with so many threads each."""

    def __init__(self, *, device: str, threads: int) -> None:
        #: a GPU takes a batch as one
        self.whole_batches = device != "cpu"
        count = 1 if self.whole_batches else min(_MOST_STREAMS, threads)
        self.threads_each = max(1, threads // count)
        self.pool = ThreadPoolExecutor(count, thread_name_prefix="model", initializer=self._begin)
        self.finishing = ThreadPoolExecutor(_FINISHERS, thread_name_prefix="finish")

    def _begin(self) -> None:
        import torch

        torch.set_num_threads(self.threads_each)  # it is a setting of each thread

    def close(self) -> None:
        """Let them go when they have done what they were given."""
        for pool in (self.pool, self.finishing):
            pool.shutdown(wait=False)


class Localizer:
    """One replica of one version: loads its weights, scores uint8 batches. The forward pass is off the event loop.

    On a CPU the images of a batch are spread over streams, each with its share of the threads. Threads that work on
    one image wait for each other after every layer, and lose much when decoding takes a core away; streams do not.
    A GPU computes the next maps while scores, areas, copied regions and heatmaps are made from these. On a CPU further
    threads would only take the cores from each other, so a stream does both for its image.
    """

    def __init__(self, version: ModelVersion) -> None:
        self._version = version
        self._streams = Streams(device="cpu", threads=1)
        self._predictor: Any = None
        #: why this replica is of no use any more: its device does not compute
        self._illness: str | None = None

    async def reconfigure(self, config: dict[str, Any]) -> None:
        """`config`: threads, device. Nothing that would move a score: that would be another version.

        Raises WeightsNotFound, also where the device's arithmetic makes another version of these weights, and
        CanaryFailed: every replica is asked, also those that come later, before it is given anything.
        """
        device = config.get("device", "cpu")
        streams = Streams(device=device, threads=config["threads"])
        loop = asyncio.get_running_loop()
        predictor = await loop.run_in_executor(streams.pool, self._version.predictor, device)
        if predictor.fingerprint != self._version.fingerprint:
            reason = (
                f"{predictor.precision} on {device} is another version; host it where it was pinned, or take float32"
            )
            raise WeightsNotFound(self._version.fingerprint, reason)
        await loop.run_in_executor(streams.pool, self._version.check_canary, predictor)
        before, self._streams, self._predictor = self._streams, streams, predictor
        before.close()

    def check_health(self) -> None:
        """Ray Serve calls this; an exception takes the replica out."""
        if self._predictor is None:
            raise RuntimeError("no weights are loaded yet")
        if self._illness is not None:
            raise RuntimeError(self._illness)

    def config(self) -> str:
        """Shape and preprocessing of the network, as JSON: what is needed to make batches for it."""
        self.check_health()
        text: str = self._predictor.config.to_json()
        return text

    async def __call__(
        self,
        batch: NDArray[np.uint8],
        valid_sizes: list[tuple[int, int]],
        fingerprint: Fingerprint,
        blocks: Sequence[NativeBlocks | None] | None = None,
    ) -> Reply:
        """`batch` (B, H, W, 3) uint8; `valid_sizes` B times (height, width); `fingerprint`: the job's model; `blocks`:
        of B images what they have of native blocks."""
        if self._illness is None:
            self.check_health()
        predictor = self._predictor
        if predictor.fingerprint != fingerprint:
            return Reply(fingerprint=predictor.fingerprint)
        step = max(1, len(batch)) if self._streams.whole_batches else 1
        starts = range(0, len(batch), step)
        native = [None] * len(batch) if blocks is None else blocks
        slices = [slice(i, i + step) for i in starts]
        parts = await asyncio.gather(*(self._score(batch[each], valid_sizes[each], native[each]) for each in slices))
        if self._illness is not None:
            await asyncio.sleep(ILL_PAUSE_S)
            return Reply(fingerprint=fingerprint, unavailable=self._illness)
        return joined(parts, fingerprint)

    async def _score(
        self, batch: NDArray[np.uint8], valid_sizes: list[tuple[int, int]], blocks: Sequence[NativeBlocks | None]
    ) -> Reply:
        loop, streams, predictor = asyncio.get_running_loop(), self._streams, self._predictor
        if self._illness is not None:
            return Reply(fingerprint=predictor.fingerprint)
        try:
            if not streams.whole_batches:
                return await loop.run_in_executor(streams.pool, _asked, predictor, batch, valid_sizes, blocks)
            answer = await loop.run_in_executor(streams.pool, predictor.ask, batch, valid_sizes, blocks)
            return await loop.run_in_executor(streams.finishing, _finished, predictor, answer, batch, valid_sizes)
        except Exception as error:  # noqa: BLE001 - the batch's fault, unless the device does nothing else, either
            told = f"{type(error).__name__}: {error}"
        if not await loop.run_in_executor(streams.pool, _computes, predictor):
            self._illness = f"the device of this replica does not compute any more: {told}"
            logger.error("%s", self._illness)
        return Reply(fingerprint=predictor.fingerprint, error=told)


def _computes(predictor: Any) -> bool:
    """Whether the device still does a forward pass of the smallest canvas; if not, no image was at fault."""
    try:
        predictor.predict(np.zeros((1, 64, 64, 3), np.uint8))
    except Exception:  # noqa: BLE001
        return False
    return True


def _asked(
    predictor: Any,
    batch: NDArray[np.uint8],
    valid_sizes: Sequence[tuple[int, int]],
    blocks: Sequence[NativeBlocks | None],
) -> Reply:
    return _finished(predictor, predictor.ask(batch, valid_sizes, blocks), batch, valid_sizes)


def _finished(predictor: Any, answer: Any, batch: NDArray[np.uint8], valid_sizes: Sequence[tuple[int, int]]) -> Reply:
    scores, areas, heatmaps, evidence = predictor.summarize(predictor.conclude(answer, batch, valid_sizes))
    documents = [None if each is None else each.to_dict() for each in evidence]
    return Reply(fingerprint=predictor.fingerprint, scores=scores, areas=areas, heatmaps=heatmaps, evidence=documents)
