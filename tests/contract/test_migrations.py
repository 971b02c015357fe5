"""The schema: from nothing to now, once, and the same as the program's tables."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from multiprocessing.queues import Queue

import pytest
from alembic import command, op
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, text
from support.builders import entries, ready_job
from support.migrating_program import migrate

from jobs.domain import JobOptions, Preparing
from jobs.errors import SchemaTooNew
from jobs.lifecycle.job_store import JobStore
from jobs.sql.database import InvalidDatabaseUrl, create_database_engine, reading, writing
from jobs.sql.migrations import alembic_config, upgrade
from jobs.sql.tables import metadata

PROCESSES = 2


@pytest.fixture
def empty(database_url: str) -> Iterator[Engine]:
    engine = create_database_engine(database_url)
    yield engine
    engine.dispose()


def test_from_nothing_to_now(empty: Engine) -> None:
    upgrade(empty)
    assert set(inspect(empty).get_table_names()) == {*metadata.tables, "alembic_version"}


def test_the_second_time_nothing_happens(empty: Engine) -> None:
    upgrade(empty)
    job_id = ready_job(empty, entries(1))
    upgrade(empty)
    assert JobStore(empty).get(job_id).counts.total == 1


def comparable(item: object, name: str | None, kind: str, *rest: object) -> bool:
    """Alembic cannot compare descending columns of an index (other tests see these two used), nor SQLite's row ids."""
    if kind == "column" and getattr(item, "identity", None) is not None:
        return False
    return name not in ("ix_jobs_turn", "ix_leased_work_queued")


def test_the_migrations_give_what_the_program_expects(engine: Engine) -> None:
    with reading(engine) as connection:
        opts = {"compare_type": True, "compare_server_default": True, "include_object": comparable}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, metadata) == []


def test_partial_indexes_are_partial(engine: Engine) -> None:
    found = {
        index["name"]
        for table in metadata.tables
        for index in inspect(engine).get_indexes(table)
        if any(option.endswith("_where") for option in index.get("dialect_options", {}))
    }
    assert found == {
        "ix_jobs_turn",
        "ix_reviews_bulk",
        "ix_shards_queued",
        "ix_shards_leased",
        "ix_verdicts_case",
        "ix_verdicts_second_look",
        "ix_verdicts_signals",
        "ix_verdicts_flagged",
        "ix_verdicts_flagged_of_job",
        "ix_verdicts_failed",
        "ix_verdicts_known_by_model",
        "ix_verdicts_reviewed",
        "ix_verdicts_unreviewed",
        "ix_verdicts_unreviewed_of_job",
        "ix_leased_work_leased",
        "ix_leased_work_queued",
    }


def test_a_newer_schema_is_refused(empty: Engine) -> None:
    upgrade(empty)
    with writing(empty) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNew, match="revision 9999, which this version of nclscreen does not know"):
        upgrade(empty)


def test_a_migration_that_breaks_off_leaves_nothing(empty: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    real = op.create_table

    def break_off(name: str, *columns: object) -> None:
        if name == "verdicts":
            raise RuntimeError("the plug was pulled")
        real(name, *columns)

    with monkeypatch.context() as patch:
        patch.setattr(op, "create_table", break_off)
        with pytest.raises(RuntimeError, match="plug"):
            upgrade(empty)
    assert inspect(empty).get_table_names() == []
    upgrade(empty)
    assert set(inspect(empty).get_table_names()) == {*metadata.tables, "alembic_version"}


def test_programs_that_start_at_once(database_url: str, empty: Engine) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(PROCESSES)
    answers: Queue[str] = context.Queue()
    programs = [context.Process(target=migrate, args=(database_url, start, answers)) for _ in range(PROCESSES)]
    for program in programs:
        program.start()
    try:
        assert [answers.get(timeout=60) for _ in programs] == ["done"] * PROCESSES
    finally:
        for program in programs:
            program.join(10)
            program.kill()
            program.join()
            program.close()
        answers.close()
        answers.join_thread()
    with reading(empty) as connection:
        assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar_one() == 1
    ready_job(empty, entries(1))


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://x/y", "oracle://x", "://"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(InvalidDatabaseUrl):
        create_database_engine(url)


def test_a_database_of_the_first_version_is_brought_up_with_its_rows(empty: Engine) -> None:
    with writing(empty) as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(
            text(
                "INSERT INTO jobs (id, state, source, filters, model_name, model_fingerprint, threshold, created_at) "
                "VALUES ('old', 'completed', '/photographs', :filters, 'm', 'f', 0.5, 1.0)"
            ),
            {"filters": '{"suffixes": [".jpg"], "contains": null}'},
        )
        for job_id, state in (("gone", "cancelled"), ("live", "running")):
            connection.execute(
                text(
                    "INSERT INTO jobs "
                    "(id, state, source, filters, model_name, model_fingerprint, threshold, created_at) "
                    "VALUES (:id, :state, '/photographs', '{}', 'm', 'f', 0.5, 1.0)"
                ),
                {"id": job_id, "state": state},
            )
            connection.execute(
                text("INSERT INTO shards (job_id, first_ordinal, image_count, state) VALUES (:id, 0, 8, 'queued')"),
                {"id": job_id},
            )
    upgrade(empty)
    job = JobStore(empty).get("old")
    assert (job.options, job.found, job.policy) == (JobOptions(), Preparing(), None)
    with reading(empty) as connection:
        left = {row.job_id: row.state for row in connection.execute(text("SELECT job_id, state FROM shards"))}
    assert left == {"gone": "cancelled", "live": "queued"}  # out of the index of waiting shards
