"""What queue and accounts carry when the model costs nothing: images recorded a second, and how long a claim takes.

Every image gets a constant verdict. Recorded is end to end: claim, verdicts, finish, counters, until the job is over,
by one process. Beside it, in the same run: the same rows put into a table like `verdicts`, indexes and all, without any
queue (`executemany` and, on PostgreSQL, `COPY`). Run: python benchmarks/control_plane.py [--images N ...] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Engine, MetaData, insert, text, update

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "platform"), str(ROOT / "tests")]

from support.constant_dispatcher import ConstantDispatcher, Order, constant_verdicts  # noqa: E402

from jobs.domain import ImageKey, ImageRef, JobId, Lease, ModelRef, NewJob  # noqa: E402
from jobs.lifecycle.job_store import JobStore  # noqa: E402
from jobs.preparation.shard_plan import cut, shard_sizes  # noqa: E402
from jobs.shards.shard_rows import insert_shard  # noqa: E402
from jobs.shards.work_queue import WorkQueue  # noqa: E402
from jobs.sql.database import create_database_engine, writing  # noqa: E402
from jobs.sql.migrations import upgrade  # noqa: E402
from jobs.sql.rows import verdicts_to_rows  # noqa: E402
from jobs.sql.tables import jobs, verdicts  # noqa: E402

MODEL = ModelRef(name="constant", fingerprint="c0" * 32)
LEASE_S = 600.0
SHARDS_AT_ONCE = 4
CLAIMS = 300
#: one dispatcher and two take turns so often; the best turn counts
TURNS = 3


def entries(count: int) -> Iterator[ImageRef]:
    """Keys as archives have them: dated folders, about 60 characters."""
    for i in range(count):
        key = f"2026/{i % 12 + 1:02d}/{i % 28 + 1:02d}/camera-{i % 97:03d}/photograph-{i:09d}.jpg"
        yield ImageRef(container="s3://archive", key=ImageKey(key), size=i, etag=f"{i:032x}")


def ready_job(engine: Engine, images: int, sizes: Iterator[int]) -> JobId:
    """A job with a frozen corpus; preparing it is not what is measured here (see preparation.py)."""
    store = JobStore(engine)
    job_id = store.submit(NewJob(source="s3://archive/", model=MODEL, threshold=0.5))
    preparation = store.claim_preparation(LEASE_S, job_id)
    assert preparation is not None
    first = 0
    with writing(engine) as connection:  # one transaction: thousands of tiny shards come soon
        for shard in cut(entries(images), sizes):
            insert_shard(connection, job_id, first, shard)
            first += len(shard)
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(total=images))
    store.finish_preparation(preparation, ignored=0)
    return job_id


def record(engine: Engine, images: int, cpu_s: Callable[[], float]) -> dict[str, float]:
    """Record a whole job; gives images/s, also of its first and last tenth, and the seconds of each part.

    CPU time is that of this process and the server: it says more than images/s where others use the machine, too.
    Neither has in it what the constant model takes for its answers: it stands for workers, which are elsewhere.
    """
    job_id = ready_job(engine, images, shard_sizes())
    cpu_before_s = cpu_s()
    queue = WorkQueue(engine, "benchmark")
    spent = {"claim_s": 0.0, "finish_s": 0.0}
    model_s = model_cpu_s = 0.0
    marks: list[tuple[int, float]] = [(0, time.perf_counter())]
    while True:
        leases = _timed(spent, "claim_s", lambda: claim(queue, SHARDS_AT_ONCE))
        if not leases:
            break
        for lease in leases:
            began, began_cpu_s = time.perf_counter(), time.process_time()
            results = constant_verdicts(lease)
            model_s += time.perf_counter() - began
            model_cpu_s += time.process_time() - began_cpu_s
            _timed(spent, "finish_s", lambda lease=lease, results=results: queue.finish(lease, results))
            marks.append((marks[-1][0] + len(lease.entries), time.perf_counter() - model_s))
    job = JobStore(engine).complete(job_id)
    assert (job.state, job.counts.done) == ("completed", images), job
    total = marks[-1][1] - marks[0][1]
    return {
        "images": images,
        "images_per_s": images / total,
        "cpu_us_per_image": 1e6 * (cpu_s() - cpu_before_s - model_cpu_s) / images,
        "first_tenth_per_s": _rate([mark for mark in marks if mark[0] <= max(images / 10, marks[1][0])]),
        "last_tenth_per_s": _rate([mark for mark in marks if mark[0] >= 0.9 * images - 512]),
        **spent,
    }


def _timed(spent: dict[str, float], part: str, call: Callable[[], Any]) -> Any:
    began = time.perf_counter()
    result = call()
    spent[part] += time.perf_counter() - began
    return result


def _rate(marks: Sequence[tuple[int, float]]) -> float:
    return (marks[-1][0] - marks[0][0]) / (marks[-1][1] - marks[0][1])


def claim(queue: WorkQueue, limit: int) -> list[Lease]:
    return queue.claim(limit, LEASE_S, fingerprints=[MODEL.fingerprint])


def raw(engine: Engine, images: int, *, copy: bool) -> float:
    """The same rows into a table like `verdicts`, 512 to a transaction, without the queue; images/s."""
    bare = verdicts.to_metadata(MetaData(), name="bare_verdicts")
    for constraint in list(bare.foreign_key_constraints):
        bare.constraints.remove(constraint)
    bare.primary_key.name = "pk_bare_verdicts"
    for index in bare.indexes:
        index.name = f"bare_{index.name}"
    bare.drop(engine, checkfirst=True)
    bare.create(engine)
    lease = Lease(
        shard_id=1,
        job_id=JobId("bare"),
        first_ordinal=0,
        attempt=1,
        fence=1,
        expires_at=0,
        model=MODEL,
        threshold=0.5,
        entries=(),  # type: ignore[arg-type]
    )
    seconds, first = 0.0, 0
    for batch in cut(entries(images), iter(lambda: 512, None)):
        results = constant_verdicts(replace(lease, first_ordinal=first, entries=tuple(batch)))
        first += len(batch)
        began = time.perf_counter()
        rows = [row | {"recorded_at": 0.0} for row in verdicts_to_rows(lease.job_id, results)]
        with writing(engine) as connection:
            if copy:
                _copy(connection, rows)
            else:
                connection.execute(insert(bare), rows)
        seconds += time.perf_counter() - began
    bare.drop(engine)
    return images / seconds


def _copy(connection: Any, rows: Sequence[dict[str, Any]]) -> None:
    driver = connection.connection.driver_connection
    names = ", ".join(rows[0])
    with driver.cursor() as cursor, cursor.copy(f"COPY bare_verdicts ({names}) FROM STDIN") as copying:
        for row in rows:
            copying.write_row(tuple(row.values()))


def claim_latency(engine: Engine, *, job_count: int, shards: int = 10_000, dead: int = 0) -> dict[str, float]:
    """Milliseconds of a claim of two shards while `shards` wait; `dead` times every row was rewritten before."""
    for _ in range(job_count):
        ready_job(engine, shards // job_count, iter(lambda: 1, None))
    if engine.dialect.name == "postgresql":
        with writing(engine) as connection:
            connection.execute(text("ALTER TABLE shards SET (autovacuum_enabled = false)"))
    for _ in range(dead):
        for state in ("leased", "queued"):
            with writing(engine) as connection:
                connection.execute(text("UPDATE shards SET state = :state, fence = fence + 1"), {"state": state})
    queue, took = WorkQueue(engine, "benchmark"), []
    for _ in range(CLAIMS):
        began = time.perf_counter()
        leases = claim(queue, 2)
        took.append(1000 * (time.perf_counter() - began))
        assert len(leases) == 2
    p50, p95 = np.percentile(took, [50, 95])
    return {
        "jobs": job_count,
        "shards": shards,
        "dead_per_row": 2 * dead,
        "p50_ms": float(p50),
        "p95_ms": float(p95),
        "transaction_ms": _bare_transaction_ms(engine),
    }


def _bare_transaction_ms(engine: Engine) -> float:
    """Median of a transaction that does nothing: what the machine and the way to the server cost at this moment."""
    took = []
    for _ in range(CLAIMS):
        began = time.perf_counter()
        with writing(engine) as connection:
            connection.execute(text("SELECT 1"))
        took.append(1000 * (time.perf_counter() - began))
    return float(np.median(took))


def dispatchers(url: str, engine: Engine, count: int, images: int) -> float:
    """Images/s of so many dispatcher processes on one job, whose shards take 5 ms each in threads."""
    job_id = ready_job(engine, images, iter(lambda: 64, None))
    orders = [
        Order(database_url=url, job_id=job_id, fingerprint=MODEL.fingerprint, worker=str(n), in_flight=4, shard_s=0.005)
        for n in range(count)
    ]
    with ExitStack() as stack:
        crew = [ConstantDispatcher(order) for order in orders]
        for each in crew:
            stack.callback(each.close)
        for each in crew:
            each.go()
        tallies = [each.result(600) for each in crew]
    assert sum(len(tally.recorded) for tally in tallies) == -(-images // 64)
    return images / max(tally.seconds for tally in tallies)


@dataclass(frozen=True, kw_only=True)
class Backend:
    """One kind of database."""

    name: str
    #: gives the URL of a new, empty database at every call
    fresh: Callable[[], str]
    #: CPU seconds of this process and of the server, so far
    cpu_s: Callable[[], float]


@contextmanager
def started(name: str, folder: str) -> Iterator[Backend]:
    if name == "sqlite":
        numbers = iter(range(1000))
        yield Backend(name=name, fresh=lambda: f"sqlite:///{folder}/{next(numbers)}.sqlite", cpu_s=time.process_time)
        return
    from support.servers.postgres import PostgresServer

    server = PostgresServer()

    def cpu_s() -> float:
        return time.process_time() + server.total(lambda process: sum(process.cpu_times()[:4]))

    try:
        yield Backend(name=name, fresh=server.create_database, cpu_s=cpu_s)
    finally:
        server.close()


@contextmanager
def database(url: str) -> Iterator[Engine]:
    engine = create_database_engine(url)
    upgrade(engine)
    try:
        yield engine
    finally:
        engine.dispose()


def measure(name: str, sizes: Sequence[int], say: Callable[[str], None]) -> dict[str, Any]:
    """Everything about one kind of database."""
    found: dict[str, Any] = {"backend": name, "recorded": [], "claims": []}
    with tempfile.TemporaryDirectory() as folder, started(name, folder) as backend:
        for images in sizes:
            with database(backend.fresh()) as engine:
                row = record(engine, images, backend.cpu_s)
                row["executemany_per_s"] = raw(engine, min(images, 100_000), copy=False)
                if name == "postgresql":  # as many rows, or indexes are smaller than the job's
                    row["copy_per_s"] = raw(engine, images, copy=True)
                found["recorded"].append(row)
                copied, ratio = row.get("copy_per_s", float("nan")), row["images_per_s"] / row["executemany_per_s"]
                say(
                    f"{name:<11}{images:>10,}{row['images_per_s']:>11,.0f}{row['cpu_us_per_image']:>9.1f}{row['first_tenth_per_s']:>12,.0f}"
                    f"{row['last_tenth_per_s']:>12,.0f}{row['executemany_per_s']:>13,.0f}"
                    f"{copied:>9,.0f}{ratio:>7.2f}{row['images_per_s'] / copied:>9.2f}"
                )
        for job_count, dead in ((1, 0), (100, 0), (1, 10)):
            with database(backend.fresh()) as engine:
                latency = claim_latency(engine, job_count=job_count, dead=dead)
                found["claims"].append(latency)
        if name == "postgresql":
            turns: dict[int, list[float]] = {1: [], 2: []}
            for count in (1, 2) * TURNS:
                url = backend.fresh()
                with database(url) as engine:
                    turns[count].append(dispatchers(url, engine, count, 20_000))
            for count, rates in turns.items():
                found[f"dispatchers_{count}_per_s"] = max(rates)  # what others on the machine disturbed least
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    parser.add_argument("--images", type=int, nargs="*", default=[10_000, 100_000], help="sizes of the recorded jobs")
    parser.add_argument("--backends", nargs="*", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    arguments = parser.parse_args()
    say: Callable[[str], None] = (lambda line: None) if arguments.json else lambda line: print(line, flush=True)
    say(
        f"{'database':<11}{'images':>10}{'images/s':>11}{'CPU us':>9}{'first 10 %':>12}{'last 10 %':>12}"
        f"{'executemany':>13}{'COPY':>9}{'ratio':>7}{'of COPY':>9}"
    )
    results = [measure(backend, arguments.images, say) for backend in arguments.backends]
    if arguments.json:
        print(json.dumps(results))
        return
    say(f"\n{'claims of two':<15}{'jobs':>6}{'waiting':>9}{'dead rows':>11}{'p50 ms':>8}{'p95 ms':>8}{'bare ms':>9}")
    for result in results:
        for row in result["claims"]:
            say(
                f"{result['backend']:<15}{row['jobs']:>6}{row['shards']:>9,}"
                f"{row['dead_per_row'] * row['shards']:>11,}{row['p50_ms']:>8.2f}{row['p95_ms']:>8.2f}"
                f"{row['transaction_ms']:>9.2f}"
            )
        if "dispatchers_2_per_s" in result:
            one, two = result["dispatchers_1_per_s"], result["dispatchers_2_per_s"]
            say(f"\ndispatchers on one job: one {one:,.0f} images/s, two {two:,.0f}, ratio {two / one:.2f}")


if __name__ == "__main__":
    main()
