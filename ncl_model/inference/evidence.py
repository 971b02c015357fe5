"""Which kinds of evidence speak for a verdict. Free of torch: who reads verdicts has no model at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from ncl_model.copy_move import CopiedPair

#: what the experts see, each for itself; the second and third need a grid of 8x8 blocks to read
PIXELS, TRACES, TOGETHER = "pixels", "traces", "together"
#: the kind that no network gives
COPIES = "copies"
#: why a kind cannot be tested: no JPEG grid, as after a resize saved without loss; too few pixels
NO_GRID, TOO_SMALL = "no_grid", "too_small"
#: digits of scores in documents
_DIGITS = 6


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Which kinds of evidence speak, and how loudly."""

    #: what each kind alone would give as the score, in [0, 1]; the image's score is the largest. A kind that the
    #: photograph cannot be tested for is not in it
    scores: Mapping[str, float]
    #: why a kind is not among the scores, by kind
    untestable: Mapping[str, str] = field(default_factory=dict)
    #: the surest copied regions, for lines on the picture
    copies: tuple[CopiedPair, ...] = ()

    def fired(self, threshold: float) -> list[str]:
        """The kinds that alone reach a threshold, the loudest first."""
        return sorted((k for k, v in self.scores.items() if v >= threshold), key=lambda k: -self.scores[k])

    def to_dict(self) -> dict[str, Any]:
        """JSON types, rounded."""
        scores = {kind: round(float(score), _DIGITS) for kind, score in self.scores.items()}
        copies = [pair.to_dict() for pair in self.copies]
        return {"scores": scores, "untestable": dict(self.untestable), "copies": copies}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The evidence of a document by ``to_dict``."""
        copies = tuple(map(CopiedPair.from_dict, document["copies"]))
        return cls(scores=document["scores"], untestable=document["untestable"], copies=copies)
