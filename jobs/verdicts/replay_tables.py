"""Jobs whose scores and areas are in memory, kept up with while the jobs run.

A slider asks again and again about the same job. SQL goes through all of its rows each time; here each is read once.
The counts are the same: a shard and its verdicts are recorded in one transaction, and nothing that is counted here
changes afterwards, but by another threshold for the job, with which all is read anew.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import Engine, select

from jobs.domain import JobId
from jobs.domain.states import ShardState
from jobs.sql.database import reading
from jobs.sql.tables import shards
from jobs.verdicts.replay import Replay, Replayed
from jobs.verdicts.replay_table import ReplayTable
from jobs.verdicts.summaries import HISTOGRAM_BINS

logger = logging.getLogger(__name__)

#: images that are read while somebody waits for the answer, about 20 ms; more are read in the background
_AT_ONCE = 5000
#: tables of one job that are counted one after the other
_MOST_PARTS = 16
_RECORDED = (ShardState.DONE.value, ShardState.FAILED.value)
_COUNTS = [each.name for each in dataclasses.fields(Replayed)]


def recorded_shards(engine: Engine, job_id: JobId) -> dict[int, int]:
    """Shards of a job whose verdicts are there: first ordinal, and number of images."""
    wanted = select(shards.c.first_ordinal, shards.c.image_count)
    with reading(engine) as connection:
        rows = connection.execute(wanted.where(shards.c.job_id == job_id, shards.c.state.in_(_RECORDED)))
        return {row.first_ordinal: row.image_count for row in rows}


@dataclass(frozen=True, kw_only=True, eq=False)
class ScreenedImages:
    """The images of a job that have their verdicts, as far as they were read."""

    parts: tuple[ReplayTable, ...] = ()
    #: the shards that they are of: first ordinal, and number of images
    shards: Mapping[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def with_more(self, more: Mapping[int, int], table: ReplayTable) -> ScreenedImages:
        """These and the images of more shards."""
        parts = sorted([*self.parts, table], key=len, reverse=True)
        if len(parts) > _MOST_PARTS:  # the smaller half becomes one, so that the large ones are copied rarely
            half = _MOST_PARTS // 2
            parts[half:] = [ReplayTable.joined(parts[half:])]
        return ScreenedImages(parts=tuple(parts), shards={**self.shards, **more})

    def counts(self, rule: Replay) -> Replayed:
        """As `jobs.verdicts.replay.replay` counts them."""
        found = [each.counts(rule) for each in self.parts]
        return Replayed(**{name: sum(getattr(each, name) for each in found) for name in _COUNTS})

    def histogram(self) -> list[int]:
        """As `jobs.verdicts.summaries.score_histogram` counts it."""
        bins = sum((each.histogram() for each in self.parts), np.zeros(HISTOGRAM_BINS, np.int64))
        return [int(images) for images in bins]


class ReplayTables:
    """Those of the jobs that were asked about last. Thread-safe."""

    def __init__(
        self,
        recorded: Callable[[JobId], Mapping[int, int]],
        load: Callable[[JobId, Sequence[range]], ReplayTable],
        most_images: int = 4_000_000,
    ) -> None:
        """`recorded`, `load`: as `recorded_shards` and `ReplayTable.load`, of a database.

        `most_images`: of all tables together; larger jobs are asked of SQL each time.
        """
        self._recorded = recorded
        self._load = load
        self._most = most_images
        self._lock = threading.Lock()
        self._tables: OrderedDict[tuple[JobId, float], ScreenedImages] = OrderedDict()
        self._reading: set[tuple[JobId, float]] = set()

    def find(self, job_id: JobId, threshold: float, images: int) -> ScreenedImages | None:
        """A job's images with verdicts. None where many are not read yet: that is begun now, in the background.

        `threshold`: the job's; with another one, other images are flagged. `images`: that have their verdicts.
        """
        if images > self._most:
            return None
        wanted = (job_id, threshold)
        with self._lock:
            found = self._tables.get(wanted, ScreenedImages())
            if found.parts:
                self._tables.move_to_end(wanted)
        if len(found) == images:
            return found
        if images - len(found) <= _AT_ONCE:
            return self._read(wanted, found)
        with self._lock:
            if wanted in self._reading:
                return None
            self._reading.add(wanted)
        threading.Thread(target=self._read_in_background, args=(wanted, found), name="replay", daemon=True).start()
        return None

    def _read(self, wanted: tuple[JobId, float], found: ScreenedImages) -> ScreenedImages:
        """What has come since, too."""
        job_id, _ = wanted
        more = {first: images for first, images in self._recorded(job_id).items() if first not in found.shards}
        if not more:
            return found
        found = found.with_more(more, self._load(job_id, _runs(more)))
        with self._lock:
            # of two who read at the same time one is forgotten, and reads again what the other one did not have
            self._tables[wanted] = found
            self._tables.move_to_end(wanted)
            while sum(map(len, self._tables.values())) > self._most:
                self._tables.popitem(last=False)
        return found

    def _read_in_background(self, wanted: tuple[JobId, float], found: ScreenedImages) -> None:
        try:
            self._read(wanted, found)
        except Exception as error:  # noqa: BLE001 - SQL answers instead, and it is tried again
            logger.info("the verdicts of job %s are not read into memory: %s", wanted[0], error)
        finally:
            with self._lock:
                self._reading.discard(wanted)


def _runs(shards_of: Mapping[int, int]) -> list[range]:
    """Their ordinals: shards that follow each other are one run."""
    runs: list[range] = []
    for first, images in sorted(shards_of.items()):
        if runs and runs[-1].stop == first:
            runs[-1] = range(runs[-1].start, first + images)
        else:
            runs.append(range(first, first + images))
    return runs
