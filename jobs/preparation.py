"""Preparing a job: its corpus is read once and frozen into shards, under a lease, in flat memory."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress

from jobs.corpus import Corpus, OpenStorage
from jobs.database import DATABASE_AWAY
from jobs.errors import EmptyCorpus, JobsError
from jobs.job_store import JobStore
from jobs.preparations import Preparation, PreparationLost
from jobs.shard_plan import cut, shard_sizes

logger = logging.getLogger(__name__)

#: how long a preparer may be silent before another one starts over
PREPARATION_LEASE_S = 60.0
_BEAT_S = 5.0


class Preparer:
    """Freezes corpora into shards."""

    def __init__(self, store: JobStore, open_storage: OpenStorage) -> None:
        self._store = store
        self._open_storage = open_storage

    def run(self, preparation: Preparation, stop: threading.Event) -> None:
        """Prepare one claimed job. A corpus that cannot be read, or is empty, fails the job with the reason.

        `stop` interrupts; the job then waits, unprepared, for the next preparer. Raises one of DATABASE_AWAY.
        """
        with suppress(PreparationLost):
            try:
                self._freeze(preparation, stop)
            except _Interrupted:
                self._store.release_preparation(preparation)
            except (PreparationLost, *DATABASE_AWAY):
                raise
            except JobsError as error:
                self._store.fail_preparation(preparation, str(error))
            except Exception as error:
                # it would come again at every try: better a failed job than one that is prepared for ever
                logger.exception("preparing job %s broke off", preparation.job.id)
                self._store.fail_preparation(preparation, f"preparing it broke off: {type(error).__name__}: {error}")

    def _freeze(self, preparation: Preparation, stop: threading.Event) -> None:
        job = preparation.job
        heart = _Heart(self._store, preparation, stop)
        corpus = Corpus(job.source, job.filters, self._open_storage, on_object=heart.beat)
        corpus.check()
        images = 0
        for shard in cut(corpus.entries(), shard_sizes()):
            self._store.extend_preparation(
                preparation, PREPARATION_LEASE_S, shard=shard, first_ordinal=images, ignored=corpus.ignored
            )
            images += len(shard)
        if images == 0:
            self._store.extend_preparation(preparation, PREPARATION_LEASE_S, ignored=corpus.ignored)
            raise EmptyCorpus(job.source, corpus.ignored, job.filters.suffixes)
        self._store.finish_preparation(preparation, ignored=corpus.ignored)


class _Interrupted(Exception):
    """The process is about to stop."""


class _Heart:
    """Shows that the preparer lives, also while a listing passes millions of objects that are no images."""

    def __init__(self, store: JobStore, preparation: Preparation, stop: threading.Event) -> None:
        self._store = store
        self._preparation = preparation
        self._stop = stop
        self._due = time.monotonic() + _BEAT_S

    def beat(self) -> None:
        """Raises _Interrupted, or PreparationLost."""
        if self._stop.is_set():
            raise _Interrupted
        if time.monotonic() >= self._due:
            self._store.extend_preparation(self._preparation, PREPARATION_LEASE_S)
            self._due = time.monotonic() + _BEAT_S
