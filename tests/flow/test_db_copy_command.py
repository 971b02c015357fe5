"""`nclscreen db copy` as people run it: into PostgreSQL, killed in the middle, once more to its end."""

from __future__ import annotations

import signal

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError
from support.builders import Bench, check_completed, ready_job, results_of
from support.builders import entries as images
from support.dispatching import wait_until
from support.flow_program import Program
from support.lived_in import contents, count
from support.queueing import claim

from jobs.sql.database import create_database_engine, reading
from jobs.sql.migrations import upgrade
from jobs.sql.tables import verdicts

pytestmark = pytest.mark.postgres

IMAGES = 16_000


def some_are_there(target: Engine) -> bool:
    try:
        with reading(target) as connection:
            return int(connection.execute(select(func.count()).select_from(verdicts)).scalar_one()) > 0
    except SQLAlchemyError:  # no tables yet
        return False


def test_a_copy_that_is_killed_is_gone_on_with(program: Program, sqlite_url: str, postgres_url: str) -> None:
    source, target = create_database_engine(sqlite_url), create_database_engine(postgres_url)
    upgrade(source)
    bench = Bench(source)
    job_id = ready_job(source, images(IMAGES + 8), shard_size=500)
    for lease in claim(bench.queue(), IMAGES // 500, job_id=job_id):
        bench.queue().finish(lease, results_of(lease))
    (held,) = claim(bench.queue(), job_id=job_id)
    address = postgres_url.replace("+psycopg", "")
    env = {"NCLSCREEN_DATABASE_URL": sqlite_url}
    assert "1 shards are held" in program("db", "copy", address, **env).stderr
    bench.queue().release(held)

    killed = program.start("db", "copy", address, **env)
    wait_until(lambda: some_are_there(target))
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert 0 < count(target, "verdicts") < IMAGES
    refused = program("jobs", NCLSCREEN_DATABASE_URL=address)
    assert refused.returncode == 1
    assert "unfinished copy of another one" in refused.stderr

    document = program.json("db", "copy", address, **env)
    assert document["resumed"]
    assert contents(target) == contents(source)
    again = program("db", "copy", address, **env)
    assert again.returncode == 1
    assert "the target has rows of its own" in again.stderr

    there = Bench(target)
    (lease,) = claim(there.queue(), job_id=job_id)
    there.queue().finish(lease, results_of(lease))
    there.store.complete(job_id)
    check_completed(target, job_id, IMAGES + 8)
    for engine in (source, target):
        engine.dispose()
