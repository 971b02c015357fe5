"""What a replica answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.domain import Fingerprint


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What a replica answers. Errors are values: exceptions would mix "the model failed" with "nobody is there"."""

    fingerprint: Fingerprint
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
    #: this replica is of no use: another one is to be asked, or its successor
    unavailable: str | None = None


def joined(parts: Sequence[Reply], fingerprint: Fingerprint) -> Reply:
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
