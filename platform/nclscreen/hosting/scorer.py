"""The client of the hosted models that screening workers use."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jobs.errors import ModelFailed, ModelMismatch, ModelUnavailable
from jobs.ports import ScoredImage
from ncl_model.architecture.config import NclConfig
from ncl_model.imaging.decoding import DecodedImage, decode_image
from nclscreen.hosting.applications import APP_NAME
from nclscreen.hosting.replica import Reply


class ServeScorer:
    """A `jobs.ports.Scorer` that asks the hosted model. Picklable; the handle is made where it is used."""

    def __init__(self, config: NclConfig, *, max_pixels: int, timeout_s: float = 300.0, attempts: int = 4) -> None:
        self._config = config
        self._max_pixels = max_pixels
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._handle: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_handle": None}

    def decode(self, data: bytes, fingerprint: str) -> DecodedImage:
        return decode_image(data, config=self._config, max_pixels=self._max_pixels)

    def score(self, images: Sequence[DecodedImage], fingerprint: str) -> list[ScoredImage]:
        """See `jobs.ports.Scorer.score`. One call per batch."""
        batch = np.stack([image.pixels for image in images])
        sizes = [(image.valid_height, image.valid_width) for image in images]
        reply = self._ask(lambda handle: handle.remote(batch, sizes, fingerprint))
        if reply.fingerprint != fingerprint:
            raise ModelMismatch(fingerprint, reply.fingerprint)
        if reply.error is not None or reply.scores is None or reply.areas is None:
            raise ModelFailed(reply.error or "the model gave no answer")
        return [
            ScoredImage(score=float(score), tampered_areas=tuple(map(float, areas)), heatmap=heatmap)
            for score, areas, heatmap in zip(reply.scores, reply.areas, reply.heatmaps, strict=True)
        ]

    def _ask(self, call: Callable[[Any], Any]) -> Reply:
        from ray.exceptions import RayError
        from ray.serve.exceptions import RayServeException

        reason = ""
        for attempt in range(self._attempts):
            try:
                reply: Reply = call(self._connected()).result(timeout_s=self._timeout_s)
            except (RayError, RayServeException, TimeoutError) as error:
                # the replica died, is being replaced, or its queue is full
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                self._handle = None
                time.sleep(0.5 * 2**attempt)
            else:
                return reply
        raise ModelUnavailable(f"the hosted model does not answer ({reason})")

    def _connected(self) -> Any:
        if self._handle is None:
            from ray import serve

            self._handle = serve.get_app_handle(APP_NAME)
        return self._handle
