"""A database that was worked with: something in every table that people would miss."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, Text, cast, func, insert, select
from support.builders import FINGERPRINT, Bench, new_job, results_of
from support.drawings import box_mask, png_of
from support.queueing import LEASE_S, claim, prepared

from jobs.access import KeyStore, ProjectStore
from jobs.domain import Decision, JobId, JobOptions, NewReview, VerdictRef
from jobs.domain.access import ProjectName, Scope
from jobs.domain.drawings import DrawingKind
from jobs.domain.registry import Alias, RegisteredVersion
from jobs.domain.schedules import NewSchedule, ScheduleKind
from jobs.registry.model_registry import ModelRegistry
from jobs.reviews import AuditStore, ReviewStore
from jobs.reviews.drawing_png import read_drawing
from jobs.schedules.schedule_store import ScheduleStore
from jobs.sql.database import reading, writing
from jobs.sql.tables import manifest_problems, metadata
from jobs.verdicts import VerdictStore

MASK = read_drawing(DrawingKind.MASK, png_of(box_mask(64, 48)), (640, 480))
HOOK = JobOptions(webhook="https://example.org/hook", name="Überprüfung 'ß' \\ \t €", tags=("a", "b"))


@dataclass(frozen=True, kw_only=True)
class LivedIn:
    """What is in it."""

    #: over, with reviews, a drawing and an audit
    done: JobId
    #: 40 images in 10 shards: 3 done, 2 in the hands of somebody who vanished, the rest waits
    running: JobId
    #: not prepared yet
    waiting: JobId


def live_in(bench: Bench) -> LivedIn:
    """Work with a database; in the end nobody holds anything any more."""
    done = prepared(bench, 24, options=HOOK)
    for lease in claim(bench.queue(), job_id=done):
        bench.queue().finish(lease, results_of(lease, score=lambda ordinal: ordinal / 24))
    bench.store.complete(done)
    _review(bench, done)
    running = prepared(bench, 40, options=HOOK)
    for lease in claim(bench.queue(), 3, job_id=running):
        bench.queue().finish(lease, results_of(lease))
    assert len(claim(bench.queue(), 2, job_id=running)) == 2
    _register(bench)
    waiting = bench.store.submit(new_job())
    with writing(bench.engine) as connection:
        connection.execute(insert(manifest_problems).values(job_id=done, line=3, reason="odd"))
    bench.clock.advance(LEASE_S + 61)
    return LivedIn(done=done, running=running, waiting=waiting)


def _review(bench: Bench, job_id: JobId) -> None:
    store = ReviewStore(bench.engine, bench.clock)
    for ordinal, drawing in ((20, MASK), (21, None)):
        found = VerdictStore(bench.engine).at(VerdictRef(job_id=job_id, ordinal=ordinal))
        store.add(found, NewReview(decision=Decision.CONFIRMED, reviewer="ann", drawing=drawing))
    AuditStore(bench.engine, bench.clock).draw(bench.store.get(job_id), size=8, seed=0, drawn_by="ann")


def _register(bench: Bench) -> None:
    registry = ModelRegistry(bench.engine, bench.clock)
    registry.register(
        RegisteredVersion(
            fingerprint=FINGERPRINT,
            name="tiny",
            version="1",
            weights_sha256="0" * 64,
            weights_uri="file:///models/tiny.safetensors",
            threshold=0.5,
            metrics={"image_auc": 0.1 + 0.2},
            code_version="0.1.0",
            snapshot="5" * 64,
        )
    )
    registry.move(Alias.CHAMPION, FINGERPRINT, actor="ann", expected=0)
    ScheduleStore(bench.engine, bench.clock).add(
        NewSchedule(name="nightly", cron="* * * * *", kind=ScheduleKind.SCREEN, request={"source": "s3://a"})
    )
    ProjectStore(bench.engine).create(ProjectName("desk"))
    KeyStore(bench.engine).create(ProjectName("desk"), "ann", [Scope.READ])


def contents(engine: Engine) -> dict[str, list[str]]:
    """Every row of every table, in words that are the same on both databases."""
    found = {}
    with reading(engine) as connection:
        for table in metadata.sorted_tables:
            columns = [cast(c, Text) if c.type.__visit_name__ == "JSON" else c for c in table.columns]
            found[table.name] = sorted(repr(tuple(row)) for row in connection.execute(select(*columns)))
    return found


def count(engine: Engine, table: str) -> int:
    """Rows of a table."""
    with reading(engine) as connection:
        return int(connection.execute(select(func.count()).select_from(metadata.tables[table])).scalar_one())
