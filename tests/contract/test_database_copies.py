"""Moving to another database with work under way: everything arrives, once, and goes on there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, insert, select, text, update
from support.builders import Bench, check_completed, results_of
from support.lived_in import contents, count, live_in
from support.queueing import claim, prepared

from jobs.errors import CopyUnfinished, SchemaOutdated
from jobs.registry.dispatchers import Dispatchers
from jobs.sql.copying import CopyDiffers, CopyRefused, SourceInUse, copy_database, portions, writing_rows
from jobs.sql.database import create_database_engine, reading, writing
from jobs.sql.migrations import schema_status, upgrade
from jobs.sql.tables import jobs, tallies, verdicts

pytestmark = pytest.mark.postgres


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions, "_ROWS", 7)


@pytest.fixture
def target(postgres_url: str) -> Iterator[Engine]:
    """An empty database without tables."""
    made = create_database_engine(postgres_url)
    yield made
    made.dispose()


def test_a_job_in_mid_run_is_finished_on_the_copy(bench: Bench, target: Engine) -> None:
    lived = live_in(bench)
    said: list[tuple[str, int, int]] = []
    copied = copy_database(bench.engine, target, lambda *each: said.append(each), clock=bench.clock)
    assert contents(target) == contents(bench.engine)
    assert not copied.resumed
    assert {table.name: table.rows for table in copied.tables}["verdicts"] == 36
    assert ("verdicts", 36, 36) in said
    assert schema_status(target).is_current

    there = Bench(target, clock=bench.clock)
    assert there.queue().rescue() == 2
    for _ in range(3):
        for lease in claim(there.queue(), job_id=lived.running):
            there.queue().finish(lease, results_of(lease))
    there.store.complete(lived.running)
    check_completed(target, lived.running, 40)
    # what is numbered by the database comes behind what was copied
    shards_before = count(target, "shards")
    prepared(there, 8)
    assert count(target, "shards") == shards_before + 2
    assert there.store.claim_preparation(60, lived.waiting) is not None


def test_the_way_back_to_a_file(bench: Bench, tmp_path: Path) -> None:
    live_in(bench)
    file = create_database_engine(f"sqlite:///{tmp_path / 'copy.db'}")
    copy_database(bench.engine, file, clock=bench.clock)
    assert contents(file) == contents(bench.engine)
    prepared(Bench(file, clock=bench.clock), 8)
    file.dispose()


@pytest.mark.parametrize("broken_after", [1, 14])
def test_one_that_breaks_off_goes_on_and_is_of_no_use_before(
    bench: Bench, target: Engine, broken_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived = live_in(bench)
    with monkeypatch.context() as patched:
        calls = iter(range(1000))

        def breaking(name: str, rows: int, total: int) -> None:
            if next(calls) == broken_after:
                raise KeyboardInterrupt

        patched.setattr(portions, "_ROWS", 7)
        with pytest.raises(KeyboardInterrupt):
            copy_database(bench.engine, target, breaking, clock=bench.clock)
    with pytest.raises(CopyUnfinished, match="unfinished copy"):
        schema_status(target)
    # the source went on meanwhile: rows changed, went and came
    with writing(bench.engine) as connection:
        connection.execute(update(jobs).where(jobs.c.id == lived.running).values(priority=7))
        connection.execute(delete(verdicts).where(verdicts.c.job_id == lived.running, verdicts.c.ordinal == 3))
        connection.execute(insert(tallies).values(name="retry/shard/expired", count=3))
    copied = copy_database(bench.engine, target, clock=bench.clock)
    assert copied.resumed
    assert contents(target) == contents(bench.engine)
    assert sum(table.written for table in copied.tables) < sum(table.rows for table in copied.tables)


def test_a_job_that_was_deleted_meanwhile_is_gone_in_the_copy(bench: Bench, target: Engine) -> None:
    lived = live_in(bench)

    def breaking(name: str, rows: int, total: int) -> None:
        if name == "verdicts" and rows == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_database(bench.engine, target, breaking, clock=bench.clock)
    with writing(bench.engine) as connection:
        connection.execute(delete(jobs).where(jobs.c.id == lived.running))
    copy_database(bench.engine, target, clock=bench.clock)
    assert contents(target) == contents(bench.engine)


def test_a_target_that_gives_back_something_else_is_noticed(
    bench: Bench, target: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_in(bench)
    insert_rows = writing_rows._insert

    def careless(connection: object, table: object, rows: list[tuple[object, ...]]) -> None:
        insert_rows(connection, table, rows[1:] if getattr(table, "name", "") == "verdicts" else rows)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(writing_rows, "_insert", careless)
        with pytest.raises(CopyDiffers, match="rows of verdicts"):
            copy_database(bench.engine, target, clock=bench.clock)
    assert count(target, "verdicts") == 0
    copy_database(bench.engine, target, clock=bench.clock)
    assert contents(target) == contents(bench.engine)


def test_a_target_with_anything_in_it_is_refused(bench: Bench, target: Engine) -> None:
    live_in(bench)
    with writing(target) as connection:
        connection.execute(text("CREATE TABLE others (id INTEGER)"))
    with pytest.raises(CopyRefused, match="tables of something else: others"):
        copy_database(bench.engine, target, clock=bench.clock)
    with writing(target) as connection:
        connection.execute(text("DROP TABLE others"))
    upgrade(target)
    with writing(target) as connection:
        connection.execute(insert(tallies).values(name="x", count=1))
    with pytest.raises(CopyRefused, match="rows of its own in tallies"):
        copy_database(bench.engine, target, clock=bench.clock)
    with writing(target) as connection:
        connection.execute(delete(tallies))
        connection.execute(text("UPDATE alembic_version SET version_num = 'copying-0033-00000000'"))
    with pytest.raises(CopyRefused, match="unfinished copy of another database"):
        copy_database(bench.engine, target, clock=bench.clock)
    with pytest.raises(CopyRefused, match="same database"):
        copy_database(bench.engine, bench.engine, clock=bench.clock)


def test_a_source_on_which_somebody_works_is_refused(bench: Bench, target: Engine) -> None:
    job_id = prepared(bench, 8)
    claim(bench.queue(), 1, job_id=job_id)
    Dispatchers(bench.engine, bench.clock).seen("desk-1", None)
    with pytest.raises(SourceInUse, match="desk-1 was seen within the last minute; 1 shards are held"):
        copy_database(bench.engine, target, clock=bench.clock)
    with reading(target) as connection:
        assert not connection.dialect.has_table(connection, "jobs")  # type: ignore[arg-type]
    bench.clock.advance(61)
    copy_database(bench.engine, target, clock=bench.clock)
    with reading(target) as connection:
        assert connection.execute(select(jobs.c.id)).scalars().all() == [job_id]


def test_a_source_behind_this_program_is_refused(bench: Bench, target: Engine) -> None:
    head = schema_status(bench.engine).head
    with writing(bench.engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0033'"))
    try:
        with pytest.raises(SchemaOutdated):
            copy_database(bench.engine, target, clock=bench.clock)
    finally:
        with writing(bench.engine) as connection:
            connection.execute(text(f"UPDATE alembic_version SET version_num = '{head}'"))
