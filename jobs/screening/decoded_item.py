"""One decoded image on its way to its verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from jobs.domain import ImageRef, Verdict
from jobs.domain.verdicts import failed_verdict
from jobs.errors import ErrorCode
from jobs.ports import ScoredImage
from jobs.screening.shard_run import ShardRun
from ncl_model.imaging.decoding import DecodedImage

#: takes what became of it: a score, what the model raised, or None when it was not wanted any more
Finish = Callable[["DecodedItem", ScoredImage | Exception | None], None]


class DecodedItem:
    """One decoded image on its way to its verdict."""

    def __init__(
        self,
        finish: Finish,
        run: ShardRun,
        ordinal: int,
        entry: ImageRef,
        image: DecodedImage,
        digest: str,
        size: int,
        signals: Mapping[str, Any] | None,
    ) -> None:
        self._finish = finish
        self.run = run
        self.ordinal = ordinal
        self.entry = entry
        self.image = image
        self.digest = digest
        self.size = size
        self.signals = signals
        self.fingerprint = run.lease.model.fingerprint
        self._came = time.perf_counter()

    @property
    def wanted(self) -> bool:
        return not self.run.over

    def model_error(self, message: str) -> Verdict:
        """Its verdict where the model has none."""
        return failed_verdict(self.entry, self.ordinal, self.fingerprint, ErrorCode.MODEL_ERROR, message)

    def deliver(self, result: ScoredImage | Exception | None) -> None:
        if self.run.stages is not None:  # with the wait for others of its batch, and for the model
            self.run.stages.add("score", time.perf_counter() - self._came)
        self._finish(self, result)
