"""What `/metrics` and `nclscreen top` ask of a large archive: seconds, and the slowest statements.

The archive is made by PostgreSQL itself: jobs of equal size, 3 % of the images flagged, one in ten of these reviewed,
shards of 512, of which one in a hundred waits. Run: python benchmarks/scrape.py [--verdicts N] [--jobs N] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event, text

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "platform"), str(ROOT / "tests")]

from support.servers.postgres import PostgresServer  # noqa: E402

from jobs.domain import Filters  # noqa: E402
from jobs.operations.figures import figures  # noqa: E402
from jobs.sql.database import create_database_engine, writing  # noqa: E402
from jobs.sql.migrations import upgrade  # noqa: E402
from jobs.sql.rows import filters_to_json  # noqa: E402

ROUNDS = 5
_JOBS = """
INSERT INTO jobs (id, state, source, filters, model_name, model_fingerprint, threshold, total, scored, flagged,
                  created_at, started_at)
SELECT 'job' || lpad(j::text, 13, '0'), CASE WHEN j % 20 = 0 THEN 'running' ELSE 'completed' END, 's3://archive',
       CAST(:filters AS json), 'm', repeat('ab', 32), 0.5, :each, :each, :each * 3 / 100, j, j
FROM generate_series(1, :jobs) AS j
"""
_SHARDS = """
INSERT INTO shards (job_id, first_ordinal, image_count, state)
SELECT 'job' || lpad(j::text, 13, '0'), 512 * i, 512, CASE WHEN j % 20 = 0 AND i % 5 = 0 THEN 'queued' ELSE 'done' END
FROM generate_series(1, :jobs) AS j, generate_series(0, :each / 512) AS i
"""
_VERDICTS = """
INSERT INTO verdicts (job_id, ordinal, container, key, key_hash, score, flagged, size, recorded_at, review)
SELECT 'job' || lpad((i % :jobs + 1)::text, 13, '0'), i / :jobs, 's3://archive', i || '.jpg', md5(i::text),
       CASE WHEN i % 33 = 0 THEN 0.5 + (i % 1000) / 2000.0 ELSE (i % 1000) / 2000.0 END, i % 33 = 0, i, 0,
       CASE WHEN i % 330 = 0 THEN 'confirmed' END
FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS i
"""
_AT_ONCE = 500_000


def archive(engine: Engine, verdicts: int, jobs: int) -> None:
    """Rows as an archive of that size has them."""
    upgrade(engine)
    each = verdicts // jobs
    with writing(engine) as connection:
        values = {"jobs": jobs, "each": each, "filters": json.dumps(filters_to_json(Filters()))}
        connection.execute(text(_JOBS), values)
        connection.execute(text(_SHARDS), {"jobs": jobs, "each": each})
    for first in range(0, verdicts, _AT_ONCE):
        with writing(engine) as connection:
            connection.execute(text(_VERDICTS), {"jobs": jobs, "first": first, "last": first + _AT_ONCE - 1})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))  # as autovacuum does


def measured(engine: Engine, ask: Callable[[], object]) -> tuple[float, dict[str, float]]:
    """Median seconds of a few rounds, and of each statement."""
    statements: dict[str, list[float]] = defaultdict(list)
    began: list[float] = []

    def before(*_: Any) -> None:
        began.append(time.perf_counter())

    def after(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        statements[" ".join(statement.split())[:110]].append(time.perf_counter() - began.pop())

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        ask()
        rounds.append(time.perf_counter() - start)
    event.remove(engine, "before_cursor_execute", before)
    event.remove(engine, "after_cursor_execute", after)
    return statistics.median(rounds), {name: statistics.median(each) for name, each in statements.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--verdicts", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    server = PostgresServer()
    try:
        engine = create_database_engine(server.create_database())
        archive(engine, options.verdicts, options.jobs)
        whole_s, statements = measured(engine, lambda: figures(engine))
        slowest = sorted(statements.items(), key=lambda item: -item[1])[:6]
        if options.json:
            print(json.dumps({"verdicts": options.verdicts, "scrape_s": whole_s, "slowest": dict(slowest)}))
            return
        print(f"{options.verdicts:,} verdicts in {options.jobs:,} jobs: a scrape takes {1000 * whole_s:.1f} ms")
        for statement, took_s in slowest:
            print(f"{1000 * took_s:8.1f} ms  {statement}")
        engine.dispose()
    finally:
        server.close()


if __name__ == "__main__":
    main()
