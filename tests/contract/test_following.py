"""Following a job whose database is away for a moment."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine
from support.builders import Bench, entries, ready_job
from support.servers.postgres import PostgresServer

from jobs.sql.errors import DATABASE_AWAY
from nclscreen.cli.patience import patiently
from nclscreen.cli.progress import follow

pytestmark = pytest.mark.postgres


def test_a_watcher_waits_for_its_database(postgres_engine: Engine, postgres_server: PostgresServer) -> None:
    bench = Bench(postgres_engine)
    job_id = ready_job(postgres_engine, entries(1))
    looked = threading.Semaphore(0)
    with ThreadPoolExecutor(1) as pool:
        followed = pool.submit(follow, bench.store, job_id, looked.release)
        assert looked.acquire(timeout=30)
        postgres_server.stop(crash=True)
        while looked.acquire(timeout=2):
            pass  # until it looks no more: it has met the outage
        assert not followed.done()
        postgres_server.start()
        assert looked.acquire(timeout=30), "it does not look again"
        bench.store.cancel(job_id)
        assert followed.result(30).state == "cancelled"


def test_patience_has_an_end(postgres_engine: Engine, postgres_server: PostgresServer) -> None:
    bench = Bench(postgres_engine)
    postgres_server.stop()
    try:
        with pytest.raises(DATABASE_AWAY):
            patiently(bench.store.latest, limit_s=0.1)
    finally:
        postgres_server.start()
