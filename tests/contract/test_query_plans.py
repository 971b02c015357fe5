"""The hot questions are answered from their indexes, whatever the size of the archive."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, func, insert, select
from support.builders import CONTAINER, FINGERPRINT, entries, entry, lease, ready_job
from support.servers.postgres import PostgresServer

from jobs.domain import Filters, JobId, ReviewState
from jobs.domain.reviews import SecondLook
from jobs.errors import VerdictNotFound
from jobs.lifecycle.job_filters import JobFilter
from jobs.lifecycle.job_store import JobStore
from jobs.operations.figures import figures
from jobs.retraining.run_store import RunStore
from jobs.reviews import AuditStore, SecondLooks
from jobs.screening.known_verdicts import KnownVerdicts
from jobs.shards.entries import pack_entries
from jobs.shards.work_queue import WorkQueue
from jobs.sql.database import create_database_engine, writing
from jobs.sql.migrations import upgrade
from jobs.sql.model_tables import retraining_runs
from jobs.sql.rows import filters_to_json, model_key
from jobs.sql.tables import jobs, leased_work, shard_entries, shards, verdicts
from jobs.verdicts import VerdictFilter, VerdictStore

BACKENDS = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
OLD_JOBS = 20
DONE_SHARDS = 3000
WAITING_SHARDS = 3000
VERDICTS = 40_000
DONE_RUNS = 2000
LARGE_JOB = JobId("young00000000000")


JOB = {
    "state": "completed",
    "source": CONTAINER,
    "filters": filters_to_json(Filters()),
    "model_name": "m",
    "model_fingerprint": FINGERPRINT,
    "threshold": 0.5,
    "created_at": 0.0,
}


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A database with many finished jobs and few waiting shards."""

    engine: Engine
    job_id: JobId

    def plan(self, statement: str, parameters: object = ()) -> str:
        """How the database would answer, in its own words."""
        word = "EXPLAIN QUERY PLAN" if self.engine.dialect.name == "sqlite" else "EXPLAIN"
        with self.engine.connect() as connection:
            rows = connection.exec_driver_sql(f"{word} {statement}", parameters)  # type: ignore[arg-type]
            return "\n".join(str(row[-1]) for row in rows)


def fill(connection: Connection) -> JobId:
    job_ids = [f"old{i:013d}" for i in range(OLD_JOBS)]
    connection.execute(insert(jobs), [{"id": job_id, **JOB} for job_id in job_ids])
    connection.execute(
        insert(shards),
        [
            {
                "job_id": job_ids[i % OLD_JOBS],
                "first_ordinal": 512 * (i // OLD_JOBS),
                "image_count": 512,
                "state": "done",
            }
            for i in range(DONE_SHARDS)
        ],
    )
    connection.execute(
        insert(verdicts),
        [
            {
                "job_id": job_ids[3] if i % 2 else job_ids[i % OLD_JOBS],
                "ordinal": i,
                "container": CONTAINER,
                "key": f"{i}.jpg",
                "key_hash": f"{i:032d}",
                "score": (i * 7919 % VERDICTS) / VERDICTS if i % 100 else None,
                "flagged": i % 100 > 0 and i * 7919 % VERDICTS > 0.8 * VERDICTS,
                "size": 100_000 + i,
                "review": "confirmed" if i % 3 == 0 else None,
                "error_code": "corrupt" if i % 100 == 0 else None,
                "model_key": model_key(FINGERPRINT),
                "recorded_at": 0.0,
            }
            for i in range(VERDICTS)
        ],
    )
    runs = [f"run{i:013d}" for i in range(DONE_RUNS)]
    connection.execute(
        insert(retraining_runs),
        [{"id": each, "state": "promoted", "request": {}, "created_at": 0.0} for each in runs],
    )
    connection.execute(insert(leased_work), [{"kind": "retraining", "subject": each, "state": "done"} for each in runs])
    return JobId(job_ids[3])


def wait_in_line(connection: Connection) -> None:
    """A large job that has begun."""
    job_id = LARGE_JOB
    first = connection.execute(select(func.max(shards.c.id))).scalar_one() + 1
    connection.execute(insert(jobs).values({"id": job_id, **JOB, "state": "running"}))
    rows = [
        {"id": first + i, "job_id": job_id, "first_ordinal": 512 * i, "image_count": 512, "state": "queued"}
        for i in range(WAITING_SHARDS)
    ]
    connection.execute(insert(shards), rows)
    packed = pack_entries(entries(1))
    connection.execute(insert(shard_entries), [{"shard_id": row["id"], "entries": packed} for row in rows])


@pytest.fixture(scope="module", params=BACKENDS)
def archive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('plans') / 'archive.db'}"
    else:
        url = request.getfixturevalue("postgres_server").create_database()
    engine = create_database_engine(url)
    upgrade(engine)
    with writing(engine) as connection:
        job_id = fill(connection)
    ready_job(engine, entries(400))
    with writing(engine) as connection:
        wait_in_line(connection)
    if request.param != "sqlite":  # which nobody analyzes
        with engine.connect() as connection:
            connection.exec_driver_sql("ANALYZE")
            connection.commit()
    yield Archive(engine=engine, job_id=job_id)
    engine.dispose()


def recorded(engine: Engine, table: str, action: Callable[[], object]) -> list[tuple[str, object]]:
    """The statements with parameters that an action sends about a table."""
    seen: list[tuple[str, object]] = []

    def record(
        connection: object, cursor: object, statement: str, parameters: object, context: object, many: bool
    ) -> None:
        if table in statement:
            seen.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", record)
    try:
        action()
    finally:
        event.remove(engine, "before_cursor_execute", record)
    return seen


def test_a_claim_looks_at_waiting_shards_alone(archive: Archive) -> None:
    queue = WorkQueue(archive.engine, "worker")
    statements = recorded(archive.engine, "FROM shards", lambda: queue.claim(2, 60, fingerprints=[FINGERPRINT]))
    plan = archive.plan(*statements[0])
    assert "ix_shards_queued" in plan
    assert not re.search(r"SCAN shards(?! USING)|Seq Scan on shards", plan), plan


def test_the_next_shard_is_found_without_sorting_all(archive: Archive) -> None:
    queue = WorkQueue(archive.engine, "worker")
    statements = recorded(
        archive.engine, "FROM shards", lambda: queue.claim(2, 60, fingerprints=[FINGERPRINT], job_id=LARGE_JOB)
    )
    plan = archive.plan(*statements[0])
    assert "TEMP B-TREE" not in plan, plan
    assert not re.search(r"^\s*(->)?\s*(Incremental )?Sort ", plan, re.MULTILINE), plan


def test_a_rescue_looks_at_leased_shards_alone(archive: Archive) -> None:
    statements = recorded(archive.engine, "shards", WorkQueue(archive.engine, "worker").rescue)
    plan = archive.plan(*statements[0])
    assert "ix_shards_leased" in plan, plan
    assert not re.search(r"SCAN shards(?! USING)|Seq Scan on shards", plan), plan


def test_settling_a_job_looks_at_open_shards_alone(archive: Archive) -> None:
    queue = WorkQueue(archive.engine, "worker")
    (lease,) = queue.claim(1, 60, fingerprints=[FINGERPRINT])
    (statement,) = recorded(archive.engine, "EXISTS", lambda: queue.release(lease))
    plan = archive.plan(*statement)
    assert "ix_shards_queued" in plan, plan
    assert "ix_shards_leased" in plan, plan


def test_what_a_job_waits_for_is_looked_up_among_waiting_shards(archive: Archive) -> None:
    statement, *_ = recorded(archive.engine, "shards", lambda: JobStore(archive.engine).waits_for(LARGE_JOB))
    plan = archive.plan(*statement)
    assert "ix_shards_queued" in plan, plan
    assert "TEMP B-TREE" not in plan, plan


def test_whether_a_model_is_trained_is_seen_without_a_look_at_runs_that_are_over(archive: Archive) -> None:
    """Every dispatcher asks every two seconds."""
    (asked,) = recorded(archive.engine, "retraining_runs", RunStore(archive.engine).any_trains)
    plan = archive.plan(*asked)
    assert "ix_leased_work_leased" in plan, plan
    assert not re.search(r"SCAN retraining_runs|Seq Scan on (retraining_runs|leased_work)", plan), plan


def test_which_models_are_needed_is_seen_without_a_look_at_what_is_over(archive: Archive) -> None:
    store = JobStore(archive.engine)
    (demand,) = recorded(archive.engine, "jobs", store.models_in_demand)
    assert not re.search(r"SCAN jobs(?! USING)", archive.plan(*demand)), archive.plan(*demand)
    (under_way,) = recorded(archive.engine, "shards", store.models_under_way)
    plan = archive.plan(*under_way)
    assert "ix_shards_leased" in plan, plan
    assert not re.search(r"SCAN shards(?! USING)|Seq Scan on shards", plan), plan


@pytest.mark.parametrize("query", ["all jobs", "all jobs above", "one job", "one job above"])
@pytest.mark.parametrize("page", ["first", "later"])
def test_flagged_images_come_in_the_order_of_their_index(archive: Archive, query: str, page: str) -> None:
    of_job = archive.job_id if query.startswith("one") else None
    wanted = VerdictFilter(flagged=True, job_id=of_job, min_score=0.9 if query.endswith("above") else None)
    store = VerdictStore(archive.engine)
    cursor = store.page(wanted, 20).next_cursor if page == "later" else None
    ((sent, parameters),) = recorded(archive.engine, "verdicts", lambda: store.page(wanted, 20, cursor))
    plan = archive.plan(sent, parameters)
    index = "ix_verdicts_flagged_of_job" if of_job else "ix_verdicts_flagged"
    assert re.search(rf"{index}\b", plan), plan
    assert "TEMP B-TREE" not in plan, plan
    assert not re.search(r"^\s*(->)?\s*(Incremental )?Sort ", plan, re.MULTILINE), plan
    if page == "later":  # the place is found in the index, not walked to
        assert re.search(r"\(?score,.*\)? ?< ?\(?|ROW\(.*score", plan), plan
        assert not re.search(r"Filter: .*ROW", plan), plan


@pytest.mark.parametrize("page", ["first", "later"])
@pytest.mark.parametrize("jobs_", ["one job", "all jobs"])
@pytest.mark.parametrize("state", [ReviewState.UNREVIEWED, ReviewState.CONFIRMED])
def test_reviewed_and_unreviewed_images_come_in_the_order_of_their_index(
    archive: Archive, page: str, jobs_: str, state: ReviewState
) -> None:
    of_job = archive.job_id if jobs_ == "one job" else None
    wanted = VerdictFilter(flagged=True, job_id=of_job, review=state)
    store = VerdictStore(archive.engine)
    cursor = store.page(wanted, 20).next_cursor if page == "later" else None
    ((sent, parameters),) = recorded(archive.engine, "verdicts", lambda: store.page(wanted, 20, cursor))
    plan = archive.plan(sent, parameters)
    assert re.search(r"ix_verdicts_(un)?reviewed|ix_verdicts_flagged", plan), plan
    if state is ReviewState.UNREVIEWED:
        assert re.search(rf"ix_verdicts_unreviewed{'_of_job' if of_job else ''}\b", plan), plan
    assert "TEMP B-TREE" not in plan, plan
    assert not re.search(
        r"^\s*(->)?\s*(Incremental )?Sort |SCAN verdicts(?! USING)|Seq Scan on verdicts", plan, re.M
    ), plan


@pytest.mark.parametrize("filters", [{}, {"failed": True}, {"prefix": "1"}])
def test_a_later_page_of_a_job_begins_at_its_place(archive: Archive, filters: dict[str, object]) -> None:
    store = VerdictStore(archive.engine)
    wanted = VerdictFilter(job_id=archive.job_id, **filters)  # type: ignore[arg-type]
    cursor = store.page(wanted, 20).next_cursor
    ((sent, parameters),) = recorded(archive.engine, "verdicts", lambda: store.page(wanted, 20, cursor))
    plan = archive.plan(sent, parameters)
    assert re.search(r"ix_verdicts_failed" if filters.get("failed") else r"pk_verdicts|sqlite_autoindex", plan), plan
    assert "TEMP B-TREE" not in plan, plan
    assert not re.search(r"^\s*(->)?\s*(Incremental )?Sort |SCAN verdicts|Seq Scan on verdicts", plan, re.M), plan


def test_a_later_page_of_jobs_begins_at_its_place(archive: Archive) -> None:
    store = JobStore(archive.engine)
    cursor = store.page(JobFilter(), 5).next_cursor
    ((sent, parameters),) = recorded(archive.engine, "jobs", lambda: store.page(JobFilter(), 5, cursor))
    if archive.engine.dialect.name == "sqlite":  # PostgreSQL reads so few jobs at once
        plan = archive.plan(sent, parameters)
        assert "ix_jobs_created_at_id ((created_at,id)<(?,?))" in plan, plan
        assert "TEMP B-TREE" not in plan, plan


def test_failures_come_from_their_index(archive: Archive) -> None:
    store = VerdictStore(archive.engine)
    ((sent, parameters),) = recorded(
        archive.engine, "verdicts", lambda: list(store.stream(VerdictFilter(job_id=archive.job_id, failed=True)))
    )
    assert "ix_verdicts_failed" in archive.plan(sent, parameters)


@pytest.mark.parametrize("page", ["first", "later"])
def test_a_sample_comes_in_its_own_order(archive: Archive, page: str) -> None:
    audits = AuditStore(archive.engine)
    number = audits.draw(JobStore(archive.engine).get(archive.job_id), size=500, seed=0, drawn_by="ann").number
    store, wanted = VerdictStore(archive.engine), VerdictFilter(job_id=archive.job_id, audit=number)
    cursor = store.page(wanted, 20).next_cursor if page == "later" else None
    ((sent, parameters),) = recorded(archive.engine, "verdicts", lambda: store.page(wanted, 20, cursor))
    plan = archive.plan(sent, parameters)
    assert re.search(r"pk_audit_images|sqlite_autoindex_audit_images", plan), plan
    assert "TEMP B-TREE" not in plan, plan
    assert not re.search(r"^\s*(->)?\s*(Incremental )?Sort |SCAN verdicts|Seq Scan on verdicts", plan, re.M), plan


def test_conflicts_come_from_their_index(archive: Archive) -> None:
    store = VerdictStore(archive.engine)
    wanted = VerdictFilter(job_id=archive.job_id, second_look=SecondLook.CONFLICT)
    ((sent, parameters),) = recorded(archive.engine, "verdicts", lambda: store.page(wanted, 20))
    assert "ix_verdicts_second_look" in archive.plan(sent, parameters)
    ((sent, parameters),) = recorded(
        archive.engine, "verdicts", lambda: SecondLooks(archive.engine).counts(archive.job_id)
    )
    assert "ix_verdicts_second_look" in archive.plan(sent, parameters)


def test_one_image_is_found_by_its_hash(archive: Archive) -> None:
    store = VerdictStore(archive.engine)

    def ask() -> None:
        with pytest.raises(VerdictNotFound):
            store.find(archive.job_id, "s3://photos/nobody.jpg")

    ((sent, parameters),) = recorded(archive.engine, "verdicts", ask)
    assert "ix_verdicts_job_id_key_hash" in archive.plan(sent, parameters)


@pytest.mark.parametrize("images", [8, 64])  # more are a large part of this small archive
def test_what_is_known_of_a_shard_is_one_question_to_a_small_index(archive: Archive, images: int) -> None:
    held = lease([entry(f"{i}.jpg", size=100_000 + 7 * i) for i in range(images)])
    known = KnownVerdicts(archive.engine)
    ((sent, parameters),) = recorded(archive.engine, "verdicts", lambda: known.recall(held))
    plan = archive.plan(sent, parameters)
    assert plan.count("ix_verdicts_known_by_model") >= 2, plan
    assert not re.search(r"SCAN verdicts|Seq Scan on verdicts", plan), plan


def read_of_verdicts(plan: dict[str, Any]) -> float:
    """Rows of `verdicts` that a question went through, of an EXPLAIN ANALYZE as JSON."""
    own = 0.0
    if plan.get("Relation Name") == "verdicts":
        filtered = sum(plan.get(name, 0) for name in ("Rows Removed by Filter", "Rows Removed by Index Recheck"))
        own = (plan["Actual Rows"] + filtered) * plan["Actual Loops"]
    return own + sum(read_of_verdicts(each) for each in plan.get("Plans", []))


@pytest.mark.postgres
@pytest.mark.parametrize("images", [8, 512])
def test_what_is_known_is_not_looked_for_in_all_verdicts(postgres_server: PostgresServer, images: int) -> None:
    """Nor while the database knows nothing yet of how many there are: a young one, or one that was just restored."""
    engine = create_database_engine(postgres_server.create_database())
    upgrade(engine)
    with writing(engine) as connection:
        connection.exec_driver_sql("ALTER TABLE verdicts SET (autovacuum_enabled = false)")
        fill(connection)
    held = lease([entry(f"{i}.jpg", size=100_000 + 7 * i) for i in range(images)])
    ((sent, parameters),) = recorded(engine, "verdicts", lambda: KnownVerdicts(engine).recall(held))
    with engine.connect() as connection:
        told = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {sent}", parameters)  # type: ignore[arg-type]
        (document,) = told.scalar_one()
    engine.dispose()
    assert 0 < read_of_verdicts(document["Plan"]) < 10 * images, document


@pytest.mark.parametrize("table", ["verdicts", "shards"])
def test_figures_are_read_from_small_indexes(archive: Archive, table: str) -> None:
    """Prometheus asks for them all day long."""
    statements = recorded(archive.engine, f"FROM {table}", lambda: figures(archive.engine))
    assert len(statements) >= 3
    for statement, parameters in statements:
        plan = archive.plan(statement, parameters)
        if "count" in statement and "'queued'" in statement:
            continue  # half of the shards of this small archive: PostgreSQL reads them all
        assert re.search(r"ix_verdicts_(unreviewed|second_look)|ix_shards_(queued|leased)", plan), plan
        assert not re.search(rf"SCAN {table}(?! USING)|Seq Scan on {table}", plan), plan
