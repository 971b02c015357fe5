"""Preparing in tests: a storage that does something on the way, and a job prepared from it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from support.builders import CONTAINER, Bench, new_job

from jobs.domain import ImageKey, JobId, ObjectInfo
from jobs.leased_work.held import HeldWork
from jobs.leased_work.task import WorkTask
from jobs.lifecycle.job_store import JobStore
from jobs.lifecycle.preparation_leases import Preparation
from jobs.preparation.preparer import Preparer
from jobs.testing import MemoryStorage


class Scripted(MemoryStorage):
    """Does something before it gives out the object of a number."""

    def __init__(self, count: int, at: int = -1, action: Callable[[], None] = lambda: None) -> None:
        super().__init__(CONTAINER)
        self._count = count
        self._at = at
        self._action = action

    def list_objects(self, prefix: str = "", after: ImageKey | None = None) -> Iterator[ObjectInfo]:
        for i in range(self._count):
            if i == self._at:
                self._action()
            info = ObjectInfo(key=ImageKey(f"{i:06d}.jpg"), size=1)
            if after is None or info.key > after:
                yield info


def prepared(bench: Bench, storage: MemoryStorage, *, stop: threading.Event | None = None, **fields: object) -> JobId:
    """Submit and prepare a job; a storage that is away is not waited for."""
    job_id = bench.store.submit(new_job(**fields))
    preparer = Preparer(bench.store, lambda container: storage, storage_max_wait_s=0.0)
    prepare_one(bench.store, preparer, stop)
    return job_id


def prepare_one(store: JobStore, preparer: Preparer, stop: threading.Event | None = None) -> None:
    """Prepare the job whose turn it is, as a thread of a dispatcher does."""
    assert WorkTask(preparer, HeldWork(store.work)).step(stop or threading.Event())


def taken(store: JobStore) -> Preparation:
    preparation = store.claim_preparation(60)
    assert preparation is not None
    return preparation


def raising(error: BaseException) -> Callable[[], None]:
    def action() -> None:
        raise error

    return action
