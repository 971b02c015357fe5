"""`nclscreen db copy` from SQLite to PostgreSQL: rows a second, compared once more, and bytes of a verdict on both.

Verdicts are a constant model's, as `tests/support` makes them. Run: python benchmarks/database_copy.py [--images N]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import Engine, text

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "platform"), str(ROOT / "tests")]

from support.builders import Bench, entries, ready_job, results_of  # noqa: E402
from support.queueing import claim  # noqa: E402
from support.servers.postgres import PostgresServer  # noqa: E402

from jobs.sql.copying import copy_database  # noqa: E402
from jobs.sql.database import create_database_engine, database_identity, reading  # noqa: E402
from jobs.sql.migrations import schema_status, upgrade  # noqa: E402

_SHARD = 512


def filled(url: str, images: int) -> Engine:
    """A SQLite database with a job of so many verdicts."""
    engine = create_database_engine(url)
    upgrade(engine)
    bench = Bench(engine)
    job_id = ready_job(engine, entries(images), shard_size=_SHARD)
    while leases := claim(bench.queue(), 8, job_id=job_id):
        for lease in leases:
            bench.queue().finish(lease, results_of(lease))
    bench.store.complete(job_id)
    return engine


def seconds_of_a_copy(source: Engine, target: Engine) -> float:
    began = time.perf_counter()
    copy_database(source, target)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200_000)
    images = parser.parse_args().images
    server = PostgresServer()
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "source.db"
            source, target = filled(f"sqlite:///{file}", images), create_database_engine(server.create_database())
            first_s = seconds_of_a_copy(source, target)
            with reading(target) as connection:
                size = connection.execute(text("SELECT pg_total_relation_size('verdicts')")).scalar_one()
            _unfinished(source, target)
            again_s = seconds_of_a_copy(source, target)
            source.dispose()
            target.dispose()
            print(f"{images:,} verdicts: copied in {first_s:.1f} s, {images / first_s:,.0f} a second")
            print(f"the same command once more, with nothing left to write: {again_s:.1f} s")
            in_file = file.stat().st_size / images
            print(f"bytes a verdict: SQLite, whole file {in_file:.0f}, PostgreSQL {size / images:.0f}")
    finally:
        server.close()


def _unfinished(source: Engine, target: Engine) -> None:
    """As a copy that broke off at its very end leaves the target."""
    head = schema_status(source).head
    with target.begin() as connection:
        mark = f"copying-{head}-{database_identity(source)}"
        connection.execute(text("UPDATE alembic_version SET version_num = :mark"), {"mark": mark})


if __name__ == "__main__":
    main()
