"""The model itself, in this process, in place of a hosted one."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.ports import ScoredImage
from ncl_model.imaging.decoding import DecodedImage
from nclscreen.wiring import Wiring


class LocalScorer:
    """A `nclscreen.services.live_scoring.HostedScorer`."""

    def __init__(self, wiring: Wiring) -> None:
        self._predictor = wiring.model.predictor()

    def score(self, images: Sequence[DecodedImage], fingerprint: str) -> list[ScoredImage]:
        assert fingerprint == self._predictor.fingerprint
        return [
            ScoredImage(
                score=each.score, tampered_areas=each.tampered_areas, heatmap=each.heatmap, evidence=each.evidence
            )
            for each in self._predictor.localize(images)
        ]
