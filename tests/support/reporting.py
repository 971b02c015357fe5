"""Completion reports as tests write them, and read them: every file checked against the manifest."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from support.builders import Bench, ready_job, results_of, unreadable
from support.queueing import claim

from jobs.completion_reports.completion_report import ReportWriter
from jobs.completion_reports.report_queue import ReportQueue
from jobs.domain import FailureThreshold, ImageKey, ImageRef, JobId, JobOptions
from jobs.errors import ErrorCode
from jobs.leased_work.held import HeldWork
from jobs.leased_work.task import WorkTask
from jobs.storage import MemoryStorage, ObjectStorage, OpenStorage
from jobs.verdicts import VerdictStore

STORAGE = "s3://reports"
OPTIONS = JobOptions(report=f"{STORAGE}/weekly/", failure_threshold=FailureThreshold(ratio=1))


@dataclass(frozen=True, kw_only=True)
class ReadReport:
    """What a reader makes of a report."""

    manifest: dict[str, Any]
    #: rows of all files of a status, in the order of the manifest
    succeeded: list[list[str]]
    failed: list[list[str]]
    #: rows of each file
    files: list[int]


def read_report(storage: ObjectStorage, key: str) -> ReadReport:
    """Read the report whose manifest has this key; sums and counts are checked."""
    manifest = json.loads(storage.read(ImageKey(key)))
    rows: dict[str, list[list[str]]] = {"succeeded": [], "failed": []}
    files = []
    for entry in manifest["Results"]:
        data = storage.read(ImageKey(entry["Key"]))
        assert hashlib.md5(data, usedforsecurity=False).hexdigest() == entry["MD5Checksum"]
        found = list(csv.reader(io.StringIO(data.decode())))
        assert len(found) == entry["Count"]
        assert {row[3] for row in found} == {entry["TaskExecutionStatus"]}
        assert {len(row) for row in found} == {len(manifest["ReportSchema"].split(","))}
        rows[entry["TaskExecutionStatus"]] += found
        files.append(len(found))
    return ReadReport(manifest=manifest, succeeded=rows["succeeded"], failed=rows["failed"], files=files)


class ReportStorage(MemoryStorage):
    """The storage of the reports; `before` is called before each write and may raise."""

    before: Callable[[str], None] = staticmethod(lambda key: None)

    def write(self, key: ImageKey, data: bytes, *, content_type: str) -> str:
        self.before(key)
        return super().write(key, data, content_type=content_type)


class ReportBench:
    """A bench with writers of reports."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.storage = ReportStorage(STORAGE)
        self.stop = threading.Event()

    def writer(
        self, only: JobId | None = None, *, part_bytes: int = 10_000, open_storage: OpenStorage | None = None
    ) -> WorkTask:
        """What a thread of a dispatcher does about reports."""
        writer = self.handler(part_bytes=part_bytes, open_storage=open_storage)
        return WorkTask(writer, HeldWork(self.bench.store.work), only=only)

    def handler(self, *, part_bytes: int = 10_000, open_storage: OpenStorage | None = None) -> ReportWriter:
        return ReportWriter(
            store=self.bench.store,
            queue=ReportQueue(self.bench.engine, self.bench.clock),
            verdicts=VerdictStore(self.bench.engine),
            open_storage=open_storage or (lambda container: self.storage),
            part_bytes=part_bytes,
        )

    def step(self, only: JobId | None = None) -> bool:
        return self.writer(only).step(self.stop)

    def objects(self) -> dict[str, bytes]:
        return {info.key: self.storage.read(info.key) for info in self.storage.list_objects()}

    def finish_shards(self, images: list[ImageRef], *, failed: int = 0) -> JobId:
        """A job whose shards are all done; the first images of it failed."""
        job_id = ready_job(self.bench.engine, images, options=OPTIONS)
        for lease in claim(self.bench.queue(), 1000, job_id=job_id):
            results = results_of(lease)
            for i, verdict in enumerate(results):
                if verdict.ordinal < failed:
                    results[i] = unreadable(verdict.ordinal, lease.entries[i], ErrorCode.NOT_FOUND, "=gone, says S3")
            self.bench.queue().finish(lease, results)
        return job_id
