"""Tables in memory: read once in the background, those of the last jobs kept, within a bound."""

from __future__ import annotations

import threading

import numpy as np

from jobs.domain import JobId
from jobs.verdicts.replay_table import ReplayTable, ReplayTables

A, B, C = JobId("a"), JobId("b"), JobId("c")


def table(images: int) -> ReplayTable:
    return ReplayTable(
        scores=np.zeros(images),
        flagged=np.zeros(images, np.bool_),
        areas=np.zeros((images, 16), np.uint16),
        has_areas=np.ones(images, np.bool_),
    )


class Loading:
    """Tables of ten images, read when they may be."""

    def __init__(self) -> None:
        self.asked: list[JobId] = []
        self.go = threading.Event()

    def __call__(self, job_id: JobId) -> ReplayTable:
        self.asked.append(job_id)
        assert self.go.wait(30)
        if job_id == "broken":
            raise OSError("the database is away")
        return table(10)


def read(tables: ReplayTables, job_id: JobId, images: int = 10) -> ReplayTable | None:
    """Ask, and ask again once it is read."""
    tables.find(job_id, 0.5, images)
    for thread in threading.enumerate():
        if thread.name == "replay":
            thread.join(30)
    return tables.find(job_id, 0.5, images)


def test_who_asks_first_does_not_wait_and_nobody_reads_twice() -> None:
    load = Loading()
    tables = ReplayTables(load)
    assert tables.find(A, 0.5, 10) is None
    assert tables.find(A, 0.5, 10) is None
    load.go.set()
    found = read(tables, A)
    assert found is not None
    assert tables.find(A, 0.5, 10) is found
    assert load.asked == [A]


def test_the_last_ones_are_kept() -> None:
    load = Loading()
    load.go.set()
    tables = ReplayTables(load, most_images=20)
    assert read(tables, A) is not None
    assert read(tables, B) is not None
    assert tables.find(A, 0.5, 10) is not None, "asked about again"
    assert read(tables, C) is not None
    assert tables.find(A, 0.5, 10) is not None
    assert load.asked == [A, B, C]
    assert tables.find(B, 0.5, 10) is None
    assert tables.find(JobId("huge"), 0.5, 21) is None
    assert "huge" not in load.asked


def test_what_could_not_be_read_is_tried_again() -> None:
    load = Loading()
    load.go.set()
    tables = ReplayTables(load)
    assert read(tables, JobId("broken")) is None
    read(tables, JobId("broken"))
    assert load.asked.count(JobId("broken")) >= 2
