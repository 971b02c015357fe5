"""The scores and areas of a job that is over, in memory: any rule is counted in milliseconds, and exactly.

A slider asks again and again about the same job. SQL goes through all of its rows each time; here that is done once.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, select

from jobs.domain import JobId
from jobs.sql.database import reading
from jobs.sql.tables import verdicts
from jobs.verdicts.replay import Replay, Replayed
from ncl_model.inference.scoring import AREA_CUTOFFS

logger = logging.getLogger(__name__)

_CHUNK = 20_000
_CUTOFFS = len(AREA_CUTOFFS)
_NO_AREAS = bytes(2 * _CUTOFFS)


@dataclass(frozen=True, kw_only=True, eq=False)
class ReplayTable:
    """One job's images, N of them. About 43 bytes an image."""

    #: (N,) float64; NaN without a score
    scores: NDArray[np.float64]
    #: (N,) bool
    flagged: NDArray[np.bool_]
    #: (N, 16) uint16, 65535 = all of the image
    areas: NDArray[np.uint16]
    #: (N,) bool: whether areas were kept
    has_areas: NDArray[np.bool_]

    @classmethod
    def load(cls, engine: Engine, job_id: JobId) -> Self:
        """Read it from SQL, a few thousand rows at a time."""
        wanted = select(verdicts.c.score, verdicts.c.flagged, verdicts.c.tampered_areas)
        scores, flagged, areas = [], [], []
        with reading(engine) as connection:
            rows = connection.execution_options(yield_per=_CHUNK).execute(wanted.where(verdicts.c.job_id == job_id))
            for part in rows.partitions():
                scores.append(np.array([row.score for row in part], np.float64))  # None becomes NaN
                flagged.append(np.array([bool(row.flagged) for row in part], np.bool_))
                packed = [bytes(row.tampered_areas) if row.tampered_areas else b"" for row in part]
                areas.append((b"".join(each or _NO_AREAS for each in packed), [bool(each) for each in packed]))
        return cls(
            scores=np.concatenate([*scores, np.empty(0)]),
            flagged=np.concatenate([*flagged, np.empty(0, np.bool_)]),
            areas=np.frombuffer(b"".join(each for each, _ in areas), "<u2").reshape(-1, _CUTOFFS),
            has_areas=np.array([kept for _, part in areas for kept in part], np.bool_),
        )

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


class ReplayTables:
    """Those of the jobs that were asked about last. Thread-safe."""

    def __init__(self, load: Callable[[JobId], ReplayTable], most_images: int = 4_000_000) -> None:
        """`most_images`: of all tables together; larger jobs are asked of SQL each time."""
        self._load = load
        self._most = most_images
        self._lock = threading.Lock()
        self._tables: OrderedDict[tuple[JobId, float], ReplayTable] = OrderedDict()
        self._loading: set[tuple[JobId, float]] = set()

    def find(self, job_id: JobId, threshold: float, images: int) -> ReplayTable | None:
        """The table of a job that is over; None where it is not read yet: that is begun now, in the background.

        `threshold`: the job's; with another one, other images are flagged.
        """
        wanted = (job_id, threshold)
        with self._lock:
            if (found := self._tables.get(wanted)) is not None:
                self._tables.move_to_end(wanted)
                return found
            if images > self._most or wanted in self._loading:
                return None
            self._loading.add(wanted)
        threading.Thread(target=self._read, args=wanted, name="replay", daemon=True).start()
        return None

    def _read(self, job_id: JobId, threshold: float) -> None:
        try:
            table = self._load(job_id)
            with self._lock:
                self._tables[job_id, threshold] = table
                while sum(len(each.scores) for each in self._tables.values()) > self._most:
                    self._tables.popitem(last=False)
        except Exception as error:  # noqa: BLE001 - SQL answers instead, and it is tried again
            logger.info("the verdicts of job %s are not read into memory: %s", job_id, error)
        finally:
            with self._lock:
                self._loading.discard((job_id, threshold))
