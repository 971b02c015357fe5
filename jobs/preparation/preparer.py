"""Preparing a job: its corpus is read once and frozen into shards, under a lease, in flat memory."""

from __future__ import annotations

import logging
import threading
import time

from jobs.domain import ImageRef, JobId, ManifestProblem, Preparing, RetryImages, Work, WorkKind
from jobs.errors import BadManifestLines, EmptyCorpus, JobsError, NothingToRetry, StorageUnavailable, WorkLost
from jobs.leased_work.held import LEASE_S, Hold, WorkStopped
from jobs.lifecycle.job_store import JobStore
from jobs.lifecycle.preparation_leases import Preparation
from jobs.outage import STORAGE_MAX_WAIT_S, StorageOutage
from jobs.preparation.cases import CasePattern
from jobs.preparation.corpus import Corpus
from jobs.preparation.roots import Roots
from jobs.preparation.sampling import sample_of
from jobs.preparation.shard_plan import cut, shard_sizes
from jobs.sql.errors import DATABASE_AWAY
from jobs.storage import OpenStorage
from jobs.temporary_space import lack_of_space

logger = logging.getLogger(__name__)

#: jobs whose corpora are read at once: a small one does not wait until the listing of a large one is over
PREPARATIONS_AT_ONCE = 4
#: bad lines kept word by word; all are counted
PROBLEMS_KEPT = 1000
_BEAT_S = 2.0
_NAMED = 3


class Preparer:
    """Freezes corpora into shards; a `jobs.leased_work.task.Handler`."""

    kind = WorkKind.PREPARATION

    def __init__(
        self, store: JobStore, open_storage: OpenStorage, *, storage_max_wait_s: float = STORAGE_MAX_WAIT_S
    ) -> None:
        """`storage_max_wait_s` is how long a storage that is away is waited for before the job fails."""
        self._store = store
        self._open_storage = open_storage
        self._storage_max_wait_s = storage_max_wait_s
        self._outages: dict[JobId, StorageOutage] = {}

    def handle(self, work: Work, hold: Hold, stop: threading.Event) -> None:
        """Prepare the job of a piece of work. Raises WorkStopped, WorkLost, or one of DATABASE_AWAY.

        A corpus that cannot be read, or is empty, fails the job with the reason. A storage that is away, and `stop`,
        interrupt: the next one goes on where this one got to.
        """
        preparation = self._store.begin_preparation(work)
        try:
            self._freeze(preparation, hold, stop)
        except StorageUnavailable as error:
            self._rest_or_fail(preparation, error)
        else:
            if preparation.job.id in self._outages:
                self._outages.pop(preparation.job.id).answered()

    def give_up(self, work: Work, why: str) -> None:
        """Whoever prepares this job comes to an end: it fails."""
        self._store.fail_preparing(work, f"preparing it was {why}")

    def _freeze(self, preparation: Preparation, hold: Hold, stop: threading.Event) -> None:
        try:
            if (earlier := preparation.job.options.retry_of) is not None:
                self._freeze_again(preparation, earlier, hold, stop)
            else:
                _Freezing(self._store, preparation, self._open_storage, hold, stop).run()
        except (WorkStopped, WorkLost, StorageUnavailable, *DATABASE_AWAY):
            raise
        except JobsError as error:
            self._store.fail_preparation(preparation, str(error))
        except Exception as error:
            if (lack := lack_of_space(error)) is not None:
                raise lack from error
            # it would come again at every try: better a failed job than one that is prepared for ever
            logger.exception("preparing job %s broke off", preparation.job.id)
            self._store.fail_preparation(preparation, f"preparing it broke off: {type(error).__name__}: {error}")

    def _rest_or_fail(self, preparation: Preparation, error: StorageUnavailable) -> None:
        job = preparation.job
        outage = self._outages.setdefault(job.id, StorageOutage(job.id, self._storage_max_wait_s))
        if self._store.get(job.id).counts.total > job.counts.total:
            outage.answered()  # for a while
        if (rest_s := outage.record_failure(str(error))) is not None:
            self._store.rest_preparation(preparation, rest_s, str(error))
        else:
            del self._outages[job.id]
            self._store.fail_preparation(preparation, str(error))

    def _freeze_again(self, preparation: Preparation, earlier: JobId, hold: Hold, stop: threading.Event) -> None:
        """The corpus is that of an earlier job, or a part of it: its verdicts say which, nothing is listed."""
        options = preparation.job.options
        again = self._store.images_again(earlier, options.retry_images, options.retry_codes)
        filters = preparation.job.filters
        if options.retry_images is not RetryImages.FAILED and filters.sample is not None:
            again = iter(sample_of(again, filters.sample, filters.sample_seed))
        images = 0
        roots = Roots(self._open_storage)
        for shard in cut(map(roots.frozen, again), shard_sizes()):
            hold.check(stop)
            self._store.extend_preparation(preparation, LEASE_S, shard=shard, first_ordinal=images)
            images += len(shard)
        if images == 0:
            raise NothingToRetry(earlier)
        self._store.finish_preparation(preparation, ignored=0, found=Preparing(seen=images, unsized=images))


class _Freezing:
    """One corpus on its way into shards."""

    def __init__(
        self,
        store: JobStore,
        preparation: Preparation,
        open_storage: OpenStorage,
        hold: Hold,
        stop: threading.Event,
    ) -> None:
        self._store = store
        self._preparation = preparation
        self._job = preparation.job
        self._hold = hold
        self._stop = stop
        self._corpus = Corpus(
            self._job.source,
            self._job.filters,
            open_storage,
            on_object=self._beat,
            on_problem=self._note,
            allow_outside=self._job.options.allow_outside,
            places=self._job.options.places,
        )
        self._cases = None if self._job.options.case_from is None else CasePattern(self._job.options.case_from)
        self._due = time.monotonic() + _BEAT_S
        self._images = 0
        self._bytes = 0
        self._unsized = 0
        self._bad_lines = 0
        self._first_problems: list[ManifestProblem] = []
        self._unsaved: list[ManifestProblem] = []

    def run(self) -> None:
        """Read the corpus to its end and let the job go. Raises JobsError, WorkStopped."""
        corpus = self._corpus
        corpus.check()
        cursor = self._preparation.cursor
        if cursor is not None and not corpus.fits(cursor):
            self._store.restart_preparation(self._preparation)
            cursor = None
        if cursor is not None:
            self._images = self._job.counts.total
            self._bytes, self._unsized = self._job.found.bytes, self._job.found.unsized
        for shard in cut(corpus.entries(cursor), shard_sizes(behind=self._images)):
            if not self._refused:
                self._add(shard if self._cases is None else self._cases.apply(shard))
        if self._refused:
            self._save()
            reasons = [f"line {problem.line}: {problem.reason}" for problem in self._first_problems]
            raise BadManifestLines(self._job.source, self._job.id, self._bad_lines, reasons)
        if self._images == 0:
            self._save()
            raise EmptyCorpus(self._job.source, corpus.ignored, self._job.filters.in_words())
        if self._unsaved:
            self._save()
        self._store.finish_preparation(self._preparation, ignored=corpus.ignored, found=self._found())

    @property
    def _refused(self) -> bool:
        """The job is going to fail; the rest is read to tell all that is wrong at once."""
        return self._bad_lines > 0 and not self._job.options.skip_bad_lines

    def _add(self, shard: list[ImageRef]) -> None:
        self._bytes += sum(entry.size or 0 for entry in shard)
        self._unsized += sum(entry.size is None for entry in shard)
        self._save(shard)
        self._images += len(shard)

    def _note(self, line: int, reason: str) -> None:
        self._bad_lines += 1
        problem = ManifestProblem(line=line, reason=reason)
        if len(self._first_problems) < _NAMED:
            self._first_problems.append(problem)
        if self._bad_lines <= PROBLEMS_KEPT:
            self._unsaved.append(problem)
        self._beat()

    def _beat(self) -> None:
        """Show that the preparer lives, also while a listing passes millions of objects that are no images."""
        self._hold.check(self._stop)
        if time.monotonic() >= self._due:
            self._save()

    def _save(self, shard: list[ImageRef] | None = None) -> None:
        """Write what was found; the place reached only together with the shard up to there."""
        self._store.extend_preparation(
            self._preparation,
            LEASE_S,
            shard=shard or (),
            first_ordinal=self._images,
            ignored=self._corpus.ignored,
            found=self._found(),
            cursor=self._corpus.cursor if shard else None,
            problems=self._unsaved,
        )
        self._unsaved = []
        self._due = time.monotonic() + _BEAT_S

    def _found(self) -> Preparing:
        return Preparing(
            seen=self._corpus.seen + self._bad_lines,
            bytes=self._bytes,
            unsized=self._unsized,
            bad_lines=self._bad_lines,
        )
