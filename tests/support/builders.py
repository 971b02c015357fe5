"""Jobs, entries, leases and verdicts with sensible defaults, and the parts of the job layer put together for a test."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import cast

import numpy as np
from PIL import Image
from sqlalchemy import Engine, select

from jobs.dispatcher import Dispatcher, DispatcherOptions
from jobs.domain import Filters, ImageKey, ImageRef, Job, JobId, Lease, ModelRef, NewJob, ShardId, Verdict
from jobs.errors import ErrorCode
from jobs.leased_work.held import HeldWork
from jobs.leased_work.leases import WorkLeases
from jobs.leased_work.task import WorkTask
from jobs.lifecycle.job_store import JobStore
from jobs.ports import HeatmapStorage, ModelHost, Scorer, ShardRunner
from jobs.preparation.preparer import Preparer
from jobs.registry.dispatchers import Dispatchers
from jobs.screening.attempt import Screen
from jobs.screening.heatmaps import StoredHeatmaps
from jobs.screening.known_verdicts import KnownVerdicts
from jobs.screening.limits import ScreeningLimits
from jobs.screening.shard_screener import ShardScreener
from jobs.screening.thread_runner import ThreadRunner
from jobs.shards.entries import unpack_entries
from jobs.shards.work_queue import WorkQueue
from jobs.sql.database import reading
from jobs.sql.rows import Clock
from jobs.sql.tables import jobs, shard_entries, shards, verdicts
from jobs.storage import MemoryStorage, ObjectStorage, OpenStorage
from jobs.testing import FixedModels, MemoryScorer, MovableClock
from ncl_model.inference.scoring import AREA_CUTOFFS

FINGERPRINT = "ab" * 32
MODEL = ModelRef(name="memory 1", fingerprint=FINGERPRINT)
CONTAINER = "s3://photos"


@lru_cache(maxsize=4096)
def picture(seed: int, *, width: int = 8, height: int = 8) -> bytes:
    """A small PNG file; another seed gives another picture."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def entry(key: str, *, container: str = CONTAINER, **fields: object) -> ImageRef:
    return ImageRef(container=container, key=ImageKey(key), **fields)  # type: ignore[arg-type]


def entries(count: int, *, first: int = 0) -> list[ImageRef]:
    return [entry(f"{i:06d}.png") for i in range(first, first + count)]


def new_job(**fields: object) -> NewJob:
    values: dict[str, object] = {"source": f"{CONTAINER}/", "model": MODEL, "threshold": 0.5, **fields}
    return NewJob(**values)  # type: ignore[arg-type]


def lease(images: Sequence[ImageRef], **fields: object) -> Lease:
    """A lease out of thin air, for what only reads it."""
    values: dict[str, object] = {
        "shard_id": ShardId(1),
        "job_id": JobId("job"),
        "first_ordinal": 0,
        "attempt": 1,
        "fence": 1,
        "expires_at": 0.0,
        "model": MODEL,
        "threshold": 0.5,
        **fields,
    }
    return Lease(entries=tuple(images), **values)  # type: ignore[arg-type]


def scored(ordinal: int, image: ImageRef, score: float = 0.25, *, threshold: float = 0.5) -> Verdict:
    return Verdict(
        ordinal=ordinal,
        container=image.container,
        key=image.key,
        score=score,
        flagged=score >= threshold,
        tampered_areas=tuple(float(score >= cutoff) for cutoff in AREA_CUTOFFS),
        map_uri="memory://maps/1.png",
        width=640,
        height=480,
        sha256="0" * 64,
        etag=image.etag,
        version_id=image.version_id,
        size=1234,
        fingerprint=FINGERPRINT,
    )


def unreadable(ordinal: int, image: ImageRef, code: ErrorCode = ErrorCode.CORRUPT, message: str = "") -> Verdict:
    return Verdict(
        ordinal=ordinal,
        container=image.container,
        key=image.key,
        fingerprint=FINGERPRINT,
        error_code=code,
        error_message=message or f"it is {code}",
    )


def results_of(held: Lease, *, score: Callable[[int], float] = lambda ordinal: 0.25) -> list[Verdict]:
    """Verdicts that finish a lease."""
    ordinals = range(held.first_ordinal, held.first_ordinal + len(held.entries))
    return [
        scored(ordinal, image, score(ordinal), threshold=held.threshold)
        for ordinal, image in zip(ordinals, held.entries, strict=True)
    ]


def ready_job(
    engine: Engine, images: Sequence[ImageRef], *, shard_size: int = 4, clock: Clock | None = None, **fields: object
) -> JobId:
    """A job with a frozen corpus."""
    store = JobStore(engine, clock) if clock else JobStore(engine)
    job_id = store.submit(new_job(**fields))
    preparation = store.claim_preparation(60, job_id)
    assert preparation is not None
    for first in range(0, len(images), shard_size):
        store.extend_preparation(preparation, 60, shard=images[first : first + shard_size], first_ordinal=first)
    store.finish_preparation(preparation, ignored=0)
    return job_id


def scored_job(engine: Engine, scores: Sequence[float]) -> JobId:
    """A job of which 0.jpg, 1.jpg, ... have these scores; flagged from .5 on. Nobody has completed it yet."""
    images = [entry(f"{i}.jpg") for i in range(len(scores))]
    job_id = ready_job(engine, images, shard_size=len(images))
    queue = WorkQueue(engine, "tests")
    (lease,) = queue.claim(1, 60, fingerprints=[FINGERPRINT], job_id=job_id)
    queue.finish(lease, [scored(i, image, score) for i, (image, score) in enumerate(zip(images, scores, strict=True))])
    return job_id


def check_accounts(engine: Engine, job_id: JobId) -> Job:
    """Counters equal rows, at most one verdict per image; gives the job."""
    job = JobStore(engine).get(job_id)
    with reading(engine) as connection:
        rows = connection.execute(select(verdicts).where(verdicts.c.job_id == job_id)).all()
    ordinals = [row.ordinal for row in rows]
    assert len(set(ordinals)) == len(ordinals)
    assert job.counts.scored == sum(row.error_code is None and not row.reused for row in rows)
    assert job.counts.reused == sum(row.reused for row in rows)
    assert job.counts.failed == sum(row.error_code is not None for row in rows)
    assert job.counts.flagged == sum(row.flagged for row in rows)
    return job


def check_completed(engine: Engine, job_id: JobId, total: int) -> Job:
    """Exactly one verdict per image, and nothing left in anybody's hands."""
    job = check_accounts(engine, job_id)
    with reading(engine) as connection:
        found = connection.execute(
            select(verdicts.c.ordinal).where(verdicts.c.job_id == job_id).order_by(verdicts.c.ordinal)
        )
        assert list(found.scalars()) == list(range(total))
        open_shards = select(shards.c.id).where(shards.c.job_id == job_id, shards.c.state.in_(["queued", "leased"]))
        assert connection.execute(open_shards).all() == []
    assert (job.state, job.counts.total, job.error) == ("completed", total, None)
    assert job.finished_at is not None
    return job


def shard_rows(engine: Engine, job_id: JobId) -> list[dict[str, object]]:
    with reading(engine) as connection:
        found = select(shards).where(shards.c.job_id == job_id).order_by(shards.c.first_ordinal)
        return [dict(row._mapping) for row in connection.execute(found)]


def shard_images(engine: Engine, shard: dict[str, object]) -> tuple[ImageRef, ...]:
    with reading(engine) as connection:
        found = select(shard_entries.c.entries).where(shard_entries.c.shard_id == shard["id"])
        return unpack_entries(connection.execute(found).scalar_one())


def job_row(engine: Engine, job_id: JobId) -> dict[str, object]:
    with reading(engine) as connection:
        return dict(connection.execute(select(jobs).where(jobs.c.id == job_id)).one()._mapping)


def fill(storage: MemoryStorage, pictures: Iterable[tuple[str, bytes]]) -> None:
    for key, data in pictures:
        storage.write(ImageKey(key), data, content_type="image/png")


def keys_of(storage: ObjectStorage, prefix: str = "") -> list[str]:
    """What a storage lists, in its order."""
    return [info.key for info in storage.list_objects(prefix)]


@dataclass
class Bench:
    """The job layer with memory for storage and model, on one database."""

    engine: Engine
    storage: MemoryStorage = field(default_factory=lambda: MemoryStorage(CONTAINER))
    maps: MemoryStorage = field(default_factory=lambda: MemoryStorage("memory://maps"))
    scorer: MemoryScorer = field(default_factory=MemoryScorer)
    clock: MovableClock = field(default_factory=MovableClock)

    def __post_init__(self) -> None:
        self.store = JobStore(self.engine, self.clock)

    def open(self, container: str) -> MemoryStorage:
        assert container == self.storage.container
        return self.storage

    def screener(
        self,
        *,
        scorer: Scorer | None = None,
        heatmaps: HeatmapStorage | None = None,
        keep: str = "flagged",
        limits: ScreeningLimits | None = None,
        open_storage: OpenStorage | None = None,
    ) -> ShardScreener:
        return ShardScreener(
            open_storage=open_storage or self.open,
            scorer=scorer or self.scorer,
            heatmaps=heatmaps or StoredHeatmaps(self.maps),
            keep_heatmap=lambda flagged: keep == "all" or (keep == "flagged" and flagged),
            limits=limits or ScreeningLimits(),
        )

    def queue(self, worker: str = "worker") -> WorkQueue:
        return WorkQueue(self.engine, worker, self.clock)

    def dispatcher(
        self,
        screen: Screen | None = None,
        *,
        runner: ShardRunner | None = None,
        queue: WorkQueue | None = None,
        store: JobStore | None = None,
        models: ModelHost | None = None,
        open_storage: OpenStorage | None = None,
        known: KnownVerdicts | None = None,
        presence: Dispatchers | None = None,
        model_is_trained: Callable[[], bool] = lambda: False,
        **options: object,
    ) -> Dispatcher:
        store = store or self.store
        held = HeldWork(WorkLeases(self.engine, self.clock))
        only = cast("JobId | None", options.get("only_job"))
        preparing = WorkTask(Preparer(store, open_storage or self.open), held, at_once=4, only=only)
        return Dispatcher(
            store=store,
            queue=queue or self.queue(),
            held_work=held,
            maintenance=[preparing],
            runner=runner or ThreadRunner(screen or self.screener().screen),
            models=models or FixedModels(FINGERPRINT),
            known=known,
            presence=presence,
            model_is_trained=model_is_trained,
            options=DispatcherOptions(**{"poll_s": 0.01, **options}),  # type: ignore[arg-type]
        )

    def submit(self, pictures: int, **fields: object) -> JobId:
        """Put so many pictures into the storage, and a job over all of it into the database."""
        fill(self.storage, ((f"{i:06d}.png", picture(i)) for i in range(pictures)))
        return self.store.submit(new_job(filters=Filters(), **fields))
