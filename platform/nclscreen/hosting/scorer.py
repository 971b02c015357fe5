"""The client of the hosted models that screening workers use."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jobs.domain import Fingerprint
from jobs.errors import ModelFailed, ModelMismatch, ModelUnavailable
from jobs.ports import ScoredImage
from ncl_model.architecture.config import NclConfig
from ncl_model.imaging.decoding import DecodedImage
from ncl_model.imaging.guarded_decoding import DecodingLimits, GuardedDecoder
from nclscreen.hosting.applications import app_name
from nclscreen.hosting.reply import Reply

#: how often a single image has to fail before it is at fault
_CONFIRMATIONS = 3
#: before the first repetition; doubled for each further one
_PAUSE_S = 0.5


class ServeScorer:
    """A `jobs.ports.Scorer` that asks the hosted models. Picklable; handles are made where they are used."""

    def __init__(
        self,
        configs: Mapping[Fingerprint, NclConfig] | None = None,
        *,
        decoding: DecodingLimits,
        database: str,
        timeout_s: float = 300.0,
        attempts: int = 4,
    ) -> None:
        """`configs`: shapes of models by fingerprint, as far as they are known; the others are asked for theirs.

        `database`: whose dispatchers host the models, see `app_name`.
        """
        self._configs = dict(configs or {})
        self._decoding = decoding
        self._database = database
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._handles: dict[Fingerprint, Any] = {}
        self._decoder: GuardedDecoder | None = None
        self._lock: Any = None
        self.__setstate__(self.__dict__)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_handles": {}, "_decoder": None, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def decode(self, data: bytes, fingerprint: Fingerprint) -> DecodedImage:
        """See `jobs.ports.Scorer.decode`."""
        config = self._config(fingerprint)
        with self._lock:
            if self._decoder is None:  # its budget is a share of the machine it decodes on
                self._decoder = GuardedDecoder(self._decoding)
        return self._decoder.decode(data, config=config)

    def score(self, images: Sequence[DecodedImage], fingerprint: Fingerprint) -> list[ScoredImage]:
        """See `jobs.ports.Scorer.score`. One call per batch."""
        batch = np.stack([image.pixels for image in images])
        sizes = [(image.valid_height, image.valid_width) for image in images]
        native = [image.blocks for image in images]
        # an image that fails by itself is asked about again, of whichever replica: one may be about to break down
        for attempt in range(1 if len(images) > 1 else _CONFIRMATIONS):
            if attempt:
                time.sleep(_PAUSE_S * 2**attempt)
            reply: Reply = self._ask(fingerprint, lambda handle: handle.remote(batch, sizes, fingerprint, native))
            if reply.fingerprint != fingerprint:
                raise ModelMismatch(fingerprint, reply.fingerprint)
            if reply.error is None:
                return _scored(reply)
        raise ModelFailed(reply.error)

    def _config(self, fingerprint: Fingerprint) -> NclConfig:
        config = self._configs.get(fingerprint)
        if config is None:  # two threads may ask at once: they hear the same
            config = NclConfig.from_json(self._ask(fingerprint, lambda handle: handle.config.remote()))
            self._configs[fingerprint] = config
        return config

    def _ask(self, fingerprint: Fingerprint, call: Callable[[Any], Any]) -> Any:
        from ray.exceptions import RayError
        from ray.serve.exceptions import RayServeException

        reason = ""
        for attempt in range(self._attempts):
            try:
                answer = call(self._connected(fingerprint)).result(timeout_s=self._timeout_s)
            except (RayError, RayServeException, TimeoutError) as error:
                # the replica died, is being replaced, or its queue is full
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
            else:
                if not isinstance(answer, Reply) or answer.unavailable is None:
                    return answer
                reason = answer.unavailable.splitlines()[0]
            self._handles.pop(fingerprint, None)
            time.sleep(_PAUSE_S * 2**attempt)
        raise ModelUnavailable(f"the hosted model {fingerprint[:12]} does not answer ({reason})")

    def _connected(self, fingerprint: Fingerprint) -> Any:
        handle = self._handles.get(fingerprint)
        if handle is None:
            from ray import serve

            handle = self._handles[fingerprint] = serve.get_app_handle(app_name(fingerprint, self._database))
        return handle


def _scored(reply: Reply) -> list[ScoredImage]:
    if reply.scores is None or reply.areas is None:
        raise ModelFailed("the model gave no answer")
    return [
        ScoredImage(score=float(score), tampered_areas=tuple(map(float, areas)), heatmap=heatmap, evidence=evidence)
        for score, areas, heatmap, evidence in zip(
            reply.scores, reply.areas, reply.heatmaps, reply.evidence, strict=True
        )
    ]
