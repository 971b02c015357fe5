"""The hot questions are answered from their indexes, whatever the size of the archive."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from support.builders import FINGERPRINT, entries, entry, lease, ready_job
from support.large_archive import LARGE_JOB, Archive, fill, recorded, wait_in_line
from support.servers.postgres import PostgresServer

from jobs.domain import ReviewState
from jobs.domain.reviews import SecondLook
from jobs.errors import VerdictNotFound
from jobs.lifecycle.job_filters import JobFilter
from jobs.lifecycle.job_store import JobStore
from jobs.operations.figures import figures
from jobs.retraining.run_store import RunStore
from jobs.reviews import AuditStore, SecondLooks
from jobs.screening.known_verdicts import KnownVerdicts
from jobs.shards.work_queue import WorkQueue
from jobs.sql.database import create_database_engine, writing
from jobs.sql.migrations import upgrade
from jobs.verdicts import VerdictFilter, VerdictStore

BACKENDS = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


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
