"""Tables in memory: read once, many images in the background, those of the last jobs kept, within a bound."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from jobs.domain import JobId
from jobs.verdicts import Replay
from jobs.verdicts.replay_table import ReplayTable
from jobs.verdicts.replay_tables import ReplayTables, ScreenedImages

A, B, C, BROKEN = JobId("a"), JobId("b"), JobId("c"), JobId("broken")
#: so many are read in the background
MANY = 10_000


def table(images: int) -> ReplayTable:
    return ReplayTable(
        scores=np.linspace(0, 1, images),
        flagged=np.zeros(images, np.bool_),
        areas=np.zeros((images, 16), np.uint16),
        has_areas=np.ones(images, np.bool_),
    )


class Database:
    """Jobs with shards of ten images, all alike."""

    def __init__(self) -> None:
        self.recorded: dict[JobId, dict[int, int]] = {}
        self.asked: list[tuple[JobId, list[range]]] = []
        self.go = threading.Event()
        self.go.set()

    def record(self, job_id: JobId, *shards: int) -> int:
        """More shards are done; gives the images with verdicts."""
        done = self.recorded.setdefault(job_id, {})
        done.update({10 * shard: 10 for shard in shards})
        return sum(done.values())

    def load(self, job_id: JobId, ordinals: Sequence[range]) -> ReplayTable:
        self.asked.append((job_id, list(ordinals)))
        assert self.go.wait(30)
        if job_id == BROKEN:
            raise OSError("the database is away")
        return table(sum(map(len, ordinals)))

    def tables(self, most_images: int = 1_000_000) -> ReplayTables:
        return ReplayTables(self.recorded.__getitem__, self.load, most_images)


def read(tables: ReplayTables, job_id: JobId, images: int) -> ScreenedImages | None:
    """Ask, and ask again once it is read."""
    tables.find(job_id, 0.5, images)
    for thread in threading.enumerate():
        if thread.name == "replay":
            thread.join(30)
    return tables.find(job_id, 0.5, images)


def test_who_asks_first_for_many_does_not_wait_and_nobody_reads_twice() -> None:
    database = Database()
    tables, images = database.tables(), database.record(A, *range(MANY // 10))
    database.go.clear()
    assert tables.find(A, 0.5, images) is None
    assert tables.find(A, 0.5, images) is None
    database.go.set()
    found = read(tables, A, images)
    assert found is not None
    assert tables.find(A, 0.5, images) is found
    assert database.asked == [(A, [range(MANY)])]


def test_of_a_running_job_only_what_is_new_is_read() -> None:
    database = Database()
    tables = database.tables()
    first = tables.find(A, 0.5, database.record(A, 0, 1, 4))
    assert first is not None
    second = tables.find(A, 0.5, database.record(A, 2, 6))
    assert second is not None
    assert (len(first), len(second)) == (30, 50), "who counts the first one is not disturbed"
    assert database.asked == [(A, [range(20), range(40, 50)]), (A, [range(20, 30), range(60, 70)])]
    tables.find(A, 0.8, 50)
    assert database.asked[2] == (A, [range(30), range(40, 50), range(60, 70)]), "with another threshold all of it"


def test_many_small_parts_are_counted_as_one() -> None:
    database = Database()
    tables = database.tables()
    for shard in range(100):
        found = tables.find(A, 0.5, database.record(A, shard))
    assert found is not None
    assert len(found.parts) <= 16
    counted = found.counts(Replay(score=0.5))
    assert (counted.scored, counted.would_flag, counted.flagged) == (1000, 500, 0)
    assert found.histogram() == [100 * count for count in ScreenedImages(parts=(table(10),)).histogram()]


def test_the_last_ones_are_kept() -> None:
    database = Database()
    tables = database.tables(most_images=20)
    for job_id in (A, B, C):
        assert tables.find(job_id, 0.5, database.record(job_id, 0)) is not None
        assert tables.find(A, 0.5, 10) is not None
    assert [job_id for job_id, _ in database.asked] == [A, B, C], "A was asked about again and again"
    tables.find(B, 0.5, 10)
    assert [job_id for job_id, _ in database.asked] == [A, B, C, B]
    assert tables.find(JobId("huge"), 0.5, 21) is None
    assert len(database.asked) == 4


def test_what_could_not_be_read_is_tried_again() -> None:
    database = Database()
    tables, images = database.tables(), database.record(BROKEN, *range(MANY // 10))
    assert read(tables, BROKEN, images) is None
    read(tables, BROKEN, images)
    assert len(database.asked) >= 2


def test_nothing_is_counted_of_a_job_that_has_just_begun() -> None:
    found = Database().tables().find(A, 0.5, 0)
    assert found is not None
    assert sum(found.histogram()) == found.counts(Replay(score=0)).scored == 0
