"""One replica of a hosted model: loads weights, scores batches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nclscreen.catalog import ModelVersion

#: images that a CPU replica scores at once: each needs memory of its own, some hundred megabytes at 1024 pixels
_MOST_STREAMS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What a replica answers. Errors are values: exceptions would mix "the model failed" with "nobody is there"."""

    fingerprint: str
    #: (B,) float32 in [0, 1]
    scores: NDArray[np.float32] | None = None
    #: (B, 16) float32 in [0, 1]
    areas: NDArray[np.float32] | None = None
    #: B arrays (valid_h, valid_w) uint8
    heatmaps: Sequence[NDArray[np.uint8]] = ()
    #: B documents, or None where the model has one kind of evidence alone
    evidence: Sequence[dict[str, Any] | None] = ()
    #: the model raised this on the batch
    error: str | None = None


class Streams:
    """How a replica divides its threads: so many images at once, with so many threads each."""

    def __init__(self, *, device: str, threads: int) -> None:
        #: a GPU takes a batch as one
        self.whole_batches = device != "cpu"
        count = 1 if self.whole_batches else min(_MOST_STREAMS, threads)
        self.threads_each = max(1, threads // count)
        self.pool = ThreadPoolExecutor(count, thread_name_prefix="model", initializer=self._begin)

    def _begin(self) -> None:
        import torch

        torch.set_num_threads(self.threads_each)  # it is a setting of each thread


class Localizer:
    """One replica of one version: loads its weights, scores uint8 batches. The forward pass is off the event loop.

    On a CPU the images of a batch are spread over streams, each with its share of the threads. Threads that work on
    one image wait for each other after every layer, and lose much when decoding takes a core away; streams do not.
    """

    def __init__(self, version: ModelVersion) -> None:
        self._version = version
        self._streams = Streams(device="cpu", threads=1)
        self._predictor: Any = None

    async def reconfigure(self, config: dict[str, Any]) -> None:
        """`config`: threads, device. Nothing that would move a score: that would be another version.

        Raises WeightsNotFound.
        """
        device = config.get("device", "cpu")
        streams = Streams(device=device, threads=config["threads"])
        loop = asyncio.get_running_loop()
        predictor = await loop.run_in_executor(streams.pool, self._version.predictor, device)
        before, self._streams, self._predictor = self._streams, streams, predictor
        before.pool.shutdown(wait=False)

    def check_health(self) -> None:
        """Ray Serve calls this; an exception takes the replica out."""
        if self._predictor is None:
            raise RuntimeError("no weights are loaded yet")

    def config(self) -> str:
        """Shape and preprocessing of the network, as JSON: what is needed to make batches for it."""
        self.check_health()
        text: str = self._predictor.config.to_json()
        return text

    async def __call__(self, batch: NDArray[np.uint8], valid_sizes: list[tuple[int, int]], fingerprint: str) -> Reply:
        """`batch` (B, H, W, 3) uint8; `valid_sizes` B times (height, width); `fingerprint`: the job's model."""
        self.check_health()
        predictor = self._predictor
        if predictor.fingerprint != fingerprint:
            return Reply(fingerprint=predictor.fingerprint)
        loop, streams = asyncio.get_running_loop(), self._streams
        step = max(1, len(batch)) if streams.whole_batches else 1
        parts = [
            loop.run_in_executor(streams.pool, _score, predictor, batch[i : i + step], valid_sizes[i : i + step])
            for i in range(0, len(batch), step)
        ]
        return _join(await asyncio.gather(*parts), predictor.fingerprint)


def _score(predictor: Any, batch: NDArray[np.uint8], valid_sizes: list[tuple[int, int]]) -> Reply:
    try:
        scores, areas, heatmaps, evidence = predictor.predict_batch(batch, valid_sizes)
    except Exception as error:  # noqa: BLE001 - whatever the model raises is the batch's fault until shown otherwise
        return Reply(fingerprint=predictor.fingerprint, error=f"{type(error).__name__}: {error}")
    documents = [None if each is None else each.to_dict() for each in evidence]
    return Reply(fingerprint=predictor.fingerprint, scores=scores, areas=areas, heatmaps=heatmaps, evidence=documents)


def _join(parts: Sequence[Reply], fingerprint: str) -> Reply:
    """One answer from those of a batch's parts; an error of one is the batch's."""
    error = next((part.error for part in parts if part.error is not None), None)
    if error is not None or not parts:
        return Reply(fingerprint=fingerprint, error=error)
    return Reply(
        fingerprint=fingerprint,
        scores=np.concatenate([part.scores for part in parts if part.scores is not None]),
        areas=np.concatenate([part.areas for part in parts if part.areas is not None]),
        heatmaps=[heatmap for part in parts for heatmap in part.heatmaps],
        evidence=[document for part in parts for document in part.evidence],
    )
