"""Screened jobs made by hand, without a model: photographs and heatmaps in a folder, verdicts in a database."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from support.empty_databases import empty_database

from jobs.domain import ImageKey, ImageRef, Job, JobId, ModelRef, NewJob, Verdict
from jobs.domain.verdicts import failed_verdict
from jobs.errors import ErrorCode
from jobs.lifecycle.job_store import JobStore
from jobs.screening.heatmaps import StoredHeatmaps
from jobs.shards.work_queue import WorkQueue
from jobs.storage import FolderStorage, OpenStorage, S3Options, open_storage
from jobs.verdicts import VerdictStore
from ncl_model.inference.scoring import tampered_areas

MODEL = ModelRef(name="hand-made 0", fingerprint="0123456789abcdef" * 4)
THRESHOLD = 0.5


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One image of a hand-made job: with a score, or with an error code."""

    key: str
    score: float | None = None
    code: ErrorCode | None = None
    message: str = "made by hand"
    data: bytes = field(default_factory=lambda: photo_bytes(seed=0))
    keep_heatmap: bool = True
    #: a document by `support.made_evidence`
    evidence: dict[str, Any] | None = None
    case: str | None = None


@dataclass(frozen=True, kw_only=True)
class ScreenedJob:
    """A job with its verdicts, and what the report needs to show it."""

    job: Job
    verdicts: VerdictStore
    store: JobStore
    open_storage: OpenStorage
    folder: Path

    def close(self) -> None:
        self.store._engine.dispose()


def photo_bytes(width: int = 96, height: int = 64, *, seed: int = 0) -> bytes:
    """A small JPEG with structure in it."""
    ramp = np.linspace(0, 200, width, dtype=np.float64)[None, :, None] + np.zeros((height, 1, 3))
    noise = np.random.default_rng(seed).integers(0, 50, (height, width, 3))
    buffer = io.BytesIO()
    Image.fromarray((ramp + noise).clip(0, 255).astype(np.uint8)).save(buffer, format="JPEG", quality=90)
    return buffer.getvalue()


def blob(score: float, size: tuple[int, int] = (32, 48)) -> NDArray[np.uint8]:
    """(h, w) uint8: a round spot whose middle has this probability."""
    y, x = np.mgrid[0 : size[0], 0 : size[1]]
    distance = (y - size[0] / 2) ** 2 + (x - size[1] / 2) ** 2
    return np.asarray(np.rint(255 * score * np.exp(-distance / 90)), dtype=np.uint8)


def screened_job(root: Path, shots: Sequence[Shot], *, source: str | None = None) -> ScreenedJob:
    """Write the photographs into a folder and record the job as if it had been screened."""
    folder, heatmaps = root / "photos", root / "heatmaps"
    folder.mkdir(parents=True)
    heatmaps.mkdir()
    engine = empty_database(root / "hand-made.db")
    store, queue = JobStore(engine), WorkQueue(engine, "tests")
    storage, maps = FolderStorage(folder.as_uri()), StoredHeatmaps(FolderStorage(heatmaps.as_uri()))
    job_id = _prepared(store, source or str(folder), [ref(storage.container, shot) for shot in shots])
    for lease in queue.claim(1, 60, fingerprints=[MODEL.fingerprint]):
        results: list[Verdict] = []
        for ordinal, (shot, entry) in enumerate(zip(shots, lease.entries, strict=True)):
            if shot.code is not None:
                results.append(failed_verdict(entry, ordinal, MODEL.fingerprint, shot.code, shot.message))
                continue
            storage.write(entry.key, shot.data, content_type="image/jpeg")
            heatmap = blob(shot.score or 0.0)
            width, height = _size_of(shot.data)
            results.append(
                Verdict(
                    ordinal=ordinal,
                    container=entry.container,
                    key=entry.key,
                    score=shot.score,
                    flagged=(shot.score or 0.0) >= THRESHOLD,
                    tampered_areas=tampered_areas(heatmap.astype(np.float32) / 255),
                    evidence=shot.evidence,
                    map_uri=maps.save(lease, ordinal, heatmap) if shot.keep_heatmap else None,
                    width=width,
                    height=height,
                    sha256=sha256(shot.data).hexdigest(),
                    size=len(shot.data),
                    fingerprint=MODEL.fingerprint,
                    case=shot.case,
                )
            )
        queue.finish(lease, results)
    return ScreenedJob(
        job=store.complete(job_id),
        verdicts=VerdictStore(engine),
        store=store,
        open_storage=lambda container: open_storage(container, S3Options()),
        folder=folder,
    )


def _size_of(data: bytes) -> tuple[int, int]:
    """Width and height; photographs here are upright. Of what is no picture: those of `photo_bytes`."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except OSError:
        return (96, 64)


def ref(container: str, shot: Shot) -> ImageRef:
    return ImageRef(container=container, key=ImageKey(shot.key), size=len(shot.data), case=shot.case)


def _prepared(store: JobStore, source: str, entries: Sequence[ImageRef]) -> JobId:
    job_id = store.submit(NewJob(source=source, model=MODEL, threshold=THRESHOLD))
    preparation = store.claim_preparation(60, job_id)
    assert preparation is not None
    store.extend_preparation(preparation, 60, shard=entries)
    store.finish_preparation(preparation, ignored=3)
    return job_id
