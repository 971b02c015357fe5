"""A large archive in a database, and what it says of how it answers questions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, event, func, insert, select
from support.builders import CONTAINER, FINGERPRINT, entries

from jobs.domain import Filters, JobId
from jobs.shards.entries import pack_entries
from jobs.sql.model_tables import retraining_runs
from jobs.sql.rows import filters_to_json, model_key
from jobs.sql.tables import jobs, leased_work, shard_entries, shards, verdicts

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
