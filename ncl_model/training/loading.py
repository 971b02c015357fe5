"""Batches made ahead of the step that needs them: by a thread, or by processes that keep a GPU busy."""

from __future__ import annotations

import itertools
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from torch.utils.data import DataLoader, Dataset

from ncl_model.training.batches import Batch, make_batch
from ncl_model.training.recipe import TrainConfig
from ncl_model.training.samples import Photographs

#: batches the thread prepares ahead; and those each process prepares ahead
_AHEAD = 4
_AHEAD_PER_PROCESS = 2
#: how long a process goes on after SIGTERM while nobody ends it, in seconds
_LINGER_S = 60


@dataclass(frozen=True, kw_only=True)
class Loading:
    """Who prepares the batches."""

    #: processes; 0: a thread of this one
    processes: int = 0
    #: memory that a GPU can copy from while it computes
    pinned: bool = False
    #: this worker of the run, and how many there are
    rank: int = 0
    workers: int = 1


def batches(material: Photographs, recipe: TrainConfig, first: int, loading: Loading) -> Iterator[Batch]:
    """This worker's share of the batches from number ``first`` on, without end; close it to stop what it started.

    The batches are the same however many processes make them. Raises DatasetInvalid.
    """
    made = _Numbered(lambda n: make_batch(material, recipe, n, loading.rank, loading.workers))
    if loading.processes == 0:
        yield from _by_thread(made, first)
        return
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    loader = DataLoader(
        made,
        sampler=_Numbers(first),
        batch_size=None,
        collate_fn=_as_it_is,
        num_workers=loading.processes,
        prefetch_factor=_AHEAD_PER_PROCESS,
        pin_memory=loading.pinned,
        worker_init_fn=_leave_signals,
        multiprocessing_context=context,
    )
    ahead = iter(loader)
    try:
        yield from ahead
    finally:
        # not left to the garbage collector: an error's traceback would keep the processes
        ahead._shutdown_workers()  # type: ignore[attr-defined]


class _Numbered(Dataset[Batch]):
    """Batches by their number. Forked processes share the material's memory."""

    def __init__(self, make: Callable[[int], Batch]) -> None:
        self._make = make

    def __getitem__(self, number: int) -> Batch:
        return self._make(number)


@dataclass(frozen=True)
class _Numbers:
    first: int

    def __iter__(self) -> Iterator[int]:
        return itertools.count(self.first)


def _by_thread(made: _Numbered, first: int) -> Iterator[Batch]:
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
        numbers = itertools.count(first)
        ahead: list[Future[Batch]] = [pool.submit(made.__getitem__, next(numbers)) for _ in range(_AHEAD)]
        try:
            while True:
                batch = ahead.pop(0).result()
                ahead.append(pool.submit(made.__getitem__, next(numbers)))
                yield batch
        finally:
            for future in ahead:
                future.cancel()


_T = TypeVar("_T")


def _as_it_is(batch: _T) -> _T:
    return batch


def _leave_signals(number: int) -> None:
    """Signals reach the whole group of processes, but the run itself ends these, once it has saved."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(_LINGER_S) and None)
