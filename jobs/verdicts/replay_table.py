"""Scores and areas of a job in memory: any rule is counted in milliseconds, and exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, select

from jobs.domain import JobId
from jobs.sql.database import reading
from jobs.sql.tables import verdicts
from jobs.verdicts.replay import Replay, Replayed
from jobs.verdicts.summaries import HISTOGRAM_BINS
from ncl_model.inference.scoring import AREA_CUTOFFS

_CHUNK = 20_000
_CUTOFFS = len(AREA_CUTOFFS)
_NO_AREAS = bytes(2 * _CUTOFFS)


@dataclass(frozen=True, kw_only=True, eq=False)
class ReplayTable:
    """Images of one job, N of them. About 43 bytes an image."""

    #: (N,) float64; NaN without a score
    scores: NDArray[np.float64]
    #: (N,) bool
    flagged: NDArray[np.bool_]
    #: (N, 16) uint16, 65535 = all of the image
    areas: NDArray[np.uint16]
    #: (N,) bool: whether areas were kept
    has_areas: NDArray[np.bool_]

    @classmethod
    def load(cls, engine: Engine, job_id: JobId, ordinals: Sequence[range]) -> Self:
        """Read the images with these ordinals from SQL, a few thousand rows at a time."""
        c = verdicts.c
        wanted = select(c.score, c.flagged, c.tampered_areas).where(c.job_id == job_id)
        scores, flagged, areas, kept = [np.empty(0)], [np.empty(0, np.bool_)], [b""], [np.empty(0, np.bool_)]
        with reading(engine) as connection:
            for part in ordinals:
                asked = wanted.where(c.ordinal >= part.start, c.ordinal < part.stop)
                rows = connection.execution_options(yield_per=_CHUNK).execute(asked)
                for some in rows.partitions():
                    packed = [bytes(row.tampered_areas) if row.tampered_areas else b"" for row in some]
                    scores.append(np.array([row.score for row in some], np.float64))  # None becomes NaN
                    flagged.append(np.array([bool(row.flagged) for row in some], np.bool_))
                    areas.extend(each or _NO_AREAS for each in packed)
                    kept.append(np.array([bool(each) for each in packed], np.bool_))
        return cls(
            scores=np.concatenate(scores),
            flagged=np.concatenate(flagged),
            areas=np.frombuffer(b"".join(areas), "<u2").reshape(-1, _CUTOFFS),
            has_areas=np.concatenate(kept),
        )

    @classmethod
    def joined(cls, tables: Sequence[Self]) -> Self:
        """All of their images; at least one table."""
        return cls(
            scores=np.concatenate([each.scores for each in tables]),
            flagged=np.concatenate([each.flagged for each in tables]),
            areas=np.concatenate([each.areas for each in tables]),
            has_areas=np.concatenate([each.has_areas for each in tables]),
        )

    def __len__(self) -> int:
        return len(self.scores)

    def counts(self, rule: Replay) -> Replayed:
        """As `jobs.verdicts.replay.replay` counts them."""
        high = self.scores >= rule.score
        asked = rule.steps > 0
        enough = self.areas[:, AREA_CUTOFFS.index(rule.cutoff)] >= rule.steps if asked else np.ones_like(high)
        known = self.has_areas if asked else np.ones_like(high)
        would = high & known & enough
        return Replayed(
            scored=int((~np.isnan(self.scores)).sum()),
            failed=int(np.isnan(self.scores).sum()),
            flagged=int(self.flagged.sum()),
            would_flag=int(would.sum()),
            added=int((would & ~self.flagged).sum()),
            removed=int((self.flagged & ((self.scores < rule.score) | (known & ~enough))).sum()),
            unknown=int((high & ~known).sum()),
        )

    def histogram(self) -> NDArray[np.int64]:
        """As `jobs.verdicts.summaries.score_histogram` counts it; (HISTOGRAM_BINS,)."""
        scaled = np.floor(self.scores[~np.isnan(self.scores)] * HISTOGRAM_BINS).astype(np.int64)
        return np.bincount(np.minimum(scaled, HISTOGRAM_BINS - 1), minlength=HISTOGRAM_BINS)
