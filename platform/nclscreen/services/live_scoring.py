"""One photograph scored now, by the hosted model: the same verdict as in a job."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from jobs.domain import Fingerprint
from jobs.errors import JobsError, ModelUnavailable
from jobs.ports import ScoredImage
from jobs.screening.heatmaps import encode_heatmap
from jobs.sql.rows import HALF
from ncl_model.imaging.decoding import DecodedImage
from nclscreen.catalog import InstalledModel
from nclscreen.quantities import rounded
from nclscreen.services.policies import FlagRule, flag_rule
from nclscreen.wiring import Wiring


class ScoringBusy(JobsError):
    """As many photographs are being scored as may be; it will be less in a moment."""

    retry_after_s = 1


class HostedScorer(Protocol):
    """Asks the hosted model; see `jobs.ports.Scorer.score`."""

    def score(self, images: Sequence[DecodedImage], fingerprint: Fingerprint) -> list[ScoredImage]: ...


class NoScorer:
    """There is no cluster that could be asked."""

    def score(self, images: Sequence[DecodedImage], fingerprint: Fingerprint) -> list[ScoredImage]:
        """Raises ModelUnavailable."""
        raise ModelUnavailable(
            "no model can be asked from here: ask where 'nclscreen up' runs, or set NCLSCREEN_RAY_ADDRESS"
        )


class LiveScoring:
    """Scores a bounded number of photographs at once, so that jobs get their share of the model."""

    def __init__(self, scorer: HostedScorer, at_once: int = 8) -> None:
        self._scorer = scorer
        self._places = threading.BoundedSemaphore(at_once)

    def score(
        self, wiring: Wiring, data: bytes, *, threshold: float | None = None, max_fpr: float | None = None
    ) -> ScoredNow:
        """`data`: a file's bytes; the rest as in `flag_rule`, in the words of the model that answers.

        While a champion is being brought up, the one before it answers, and says so by its fingerprint. Raises
        ScoringBusy, ImageUnreadable, ModelUnavailable, ModelFailed, WeightsNotFound, and what `flag_rule` does.
        """
        if not self._places.acquire(blocking=False):
            raise ScoringBusy("as many photographs are being scored as may be at once; ask again, or submit a job")
        try:
            model = wiring.model_of(_answering(wiring))
            rule = flag_rule(model, threshold, max_fpr)
            image = wiring.decoder.decode(data, config=model.checkpoint.config)
            (scored,) = self._scorer.score([image], model.fingerprint)
        finally:
            self._places.release()
        return ScoredNow(sha256=hashlib.sha256(data).hexdigest(), image=image, scored=scored, rule=rule, model=model)


def _answering(wiring: Wiring) -> Fingerprint:
    """The first of those that could which does; the champion where nobody knows."""
    possible = wiring.serving_models()
    ready = wiring.hosted_models.ready(possible)
    return next((each for each in possible if each in ready), possible[0])


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class ScoredNow:
    """What the model says of one photograph."""

    #: of the bytes, 64 hex digits
    sha256: str
    image: DecodedImage
    scored: ScoredImage
    rule: FlagRule
    model: InstalledModel

    def document(self, *, heatmap: bool) -> dict[str, Any]:
        """As JSON types; `heatmap`: with the PNG (8-bit grey, 255 = probability 1) in base64."""
        model, calibration = self.model.ref, self.model.calibration
        png = base64.b64encode(encode_heatmap(self.scored.heatmap)).decode() if heatmap else None
        return {
            "score": rounded(self.scored.score),
            "flagged": self.scored.score >= self.rule.threshold,
            "threshold": self.rule.threshold,
            "policy": self.rule.policy_document,
            "false_positive_rate": None if calibration is None else rounded(calibration.rate(self.scored.score)),
            "tampered_area": rounded(self.scored.tampered_areas[HALF]),
            "evidence": self.scored.evidence,
            "width": self.image.width,
            "height": self.image.height,
            "sha256": self.sha256,
            "model": model.name,
            "model_fingerprint": model.fingerprint,
            **({} if png is None else {"heatmap": png}),
        }
