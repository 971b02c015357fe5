"""What a desk waits for in a large archive: pages of verdicts, counts of another rule, cases, an export.

Ten jobs of two projects in one PostgreSQL, their verdicts written by one statement each; a tenth is flagged, of these a
tenth is reviewed, every image has a case. While it is asked, another process records verdicts of one more job.
Milliseconds of 40 askings each, 50th and 95th percentile. "page 1,000" is a page behind 1,000 others, by its cursor.
The export streams rows of two jobs into a Parquet file, which is read back; growth is this process's resident memory.
Run: python benchmarks/query.py [--rows 5000000] [--export-rows 1000000]
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
from sqlalchemy import Engine, text

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "platform"), str(ROOT / "tests"), str(ROOT / "benchmarks")]

from control_plane import MODEL, database, ready_job, started  # noqa: E402
from support.constant_dispatcher import constant_verdicts  # noqa: E402

from jobs.domain import JobId, NewJob, ReviewState  # noqa: E402
from jobs.domain.access import ProjectName  # noqa: E402
from jobs.domain.pages import encode_cursor  # noqa: E402
from jobs.exports import ExportFormat, encoded  # noqa: E402
from jobs.lifecycle.job_store import JobStore  # noqa: E402
from jobs.preparation.shard_plan import shard_sizes  # noqa: E402
from jobs.shards.work_queue import WorkQueue  # noqa: E402
from jobs.sql.database import create_database_engine, reading, writing  # noqa: E402
from jobs.verdicts import VerdictFilter, VerdictStore  # noqa: E402
from jobs.verdicts.cases import CaseFilter  # noqa: E402
from jobs.verdicts.replay import Replay  # noqa: E402
from jobs.verdicts.replay_table import ReplayTable  # noqa: E402
from jobs.verdicts.statements import place_of  # noqa: E402

JOBS = 10
PAGE = 100
TIMES = 40
#: a tenth is flagged: scores are spread evenly, and the threshold is 0.9
_FILL = """
INSERT INTO verdicts (job_id, ordinal, container, key, key_hash, score, flagged, reused, tampered_area, tampered_areas,
                      width, height, sha256, size, recorded_at, model_key, review, case_name)
SELECT CAST(:job AS text), i, 's3://archive',
       '2026/' || (i % 12) || '/photograph-' || lpad(CAST(i AS text), 9, '0') || '.jpg',
       md5(CAST(:job AS text) || i), r.score, r.score >= 0.9, false, r.score, decode(repeat('8000', 16), 'hex'),
       4000, 3000, md5(CAST(i AS text)) || md5(CAST(:job AS text)), 100000 + i, 1764200000, 1,
       CASE WHEN r.score >= 0.9 AND i % 10 = 0 THEN 'rejected' END, 'claim-' || (i / 20)
FROM generate_series(0, :rows - 1) AS i,
     LATERAL (SELECT (hashint8(CAST(i AS bigint) * 7919 + :seed) & 1048575) / 1048576.0 AS score) r
"""


def fill(engine: Engine, rows: int) -> list[JobId]:
    """Jobs that are over, two thirds of them of one project."""
    found = []
    for number in range(JOBS):
        project = ProjectName("desk" if number % 3 else "lab")
        store = JobStore(engine, project=project)
        job_id = store.submit(NewJob(source="s3://archive/", model=MODEL, threshold=0.9))
        with writing(engine) as connection:
            connection.execute(text(_FILL), {"job": job_id, "rows": rows // JOBS, "seed": number})
            connection.execute(text("UPDATE jobs SET state = 'completed' WHERE id = :job"), {"job": job_id})
        found.append(job_id)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    return found


def record_for_ever(url: str) -> None:
    """Another dispatcher, as fast as it can."""
    engine = create_database_engine(url)
    queue = WorkQueue(engine, "writer")
    while True:
        ready_job(engine, 20_000, shard_sizes())
        while leases := queue.claim(4, 600, fingerprints=[MODEL.fingerprint]):
            for lease in leases:
                queue.finish(lease, constant_verdicts(lease))


def far(engine: Engine, store: VerdictStore, wanted: VerdictFilter, pages: int) -> str:
    """The cursor of a page far behind, as somebody has it who went there page by page."""
    from jobs.verdicts.rows import found_from_row
    from jobs.verdicts.statements import page_statement

    with reading(engine) as connection:
        statement = page_statement(wanted, None, 1).offset(pages * PAGE - 1)
        row = connection.execute(statement).one()
    return encode_cursor(place_of(wanted, found_from_row(row)), wanted.digest)


def questions(engine: Engine, jobs: list[JobId], rows: int) -> dict[str, Callable[[], Any]]:
    """By name."""
    store, job = VerdictStore(engine), jobs[1]
    began = time.perf_counter()
    table = ReplayTable.load(engine, job, [range(rows)])
    print(f"{len(table.scores):,} images read into memory in {time.perf_counter() - began:.1f} s", flush=True)
    desk = VerdictStore(engine, project=ProjectName("desk"))
    flagged = VerdictFilter(job_id=job, flagged=True)
    unreviewed = VerdictFilter(job_id=job, flagged=True, review=ReviewState.UNREVIEWED)
    everywhere = VerdictFilter(flagged=True)
    of_desk = VerdictFilter(flagged=True, project=ProjectName("desk"))
    in_order = VerdictFilter(job_id=job)
    behind = min(1000, int(0.08 * rows / JOBS / PAGE))
    cursors = {id(each): far(engine, store, each, behind) for each in (flagged, unreviewed, in_order)}
    wide = min(1000, int(0.05 * rows / PAGE))
    cursors |= {id(each): far(engine, store, each, wide) for each in (everywhere, of_desk)}

    def page(asked: VerdictFilter, *, far_away: bool = False, of: VerdictStore = store) -> Callable[[], Any]:
        return lambda: of.page(asked, PAGE, cursors[id(asked)] if far_away else None)

    return {
        "flagged of a job, page 1": page(flagged),
        f"flagged of a job, page {behind:,}": page(flagged, far_away=True),
        "flagged of all jobs, page 1": page(everywhere),
        f"flagged of all jobs, page {wide:,}": page(everywhere, far_away=True),
        "flagged of a project, page 1": page(of_desk, of=desk),
        f"flagged of a project, page {wide:,}": page(of_desk, far_away=True),
        "unreviewed, page 1": page(unreviewed),
        f"unreviewed, page {behind:,}": page(unreviewed, far_away=True),
        "rejected": page(VerdictFilter(job_id=job, flagged=True, review=ReviewState.REJECTED)),
        "in the manifest's order, far behind": page(in_order, far_away=True),
        "flagged, keys begin with 2026/7/": page(VerdictFilter(job_id=job, flagged=True, prefix="2026/7/")),
        "one case": page(VerdictFilter(job_id=job, case="claim-777")),
        "flagged of one case": page(VerdictFilter(job_id=job, flagged=True, case="claim-777")),
        "cases by name": lambda: store.cases(CaseFilter(job_id=job, by_name=True), PAGE),
        "cases, the most suspect first": lambda: store.cases(CaseFilter(job_id=job), PAGE),
        "histogram of a job": lambda: store.score_histogram(job),
        "replay, score alone": lambda: store.replay(job, Replay(score=0.95)),
        "replay, score and area": lambda: store.replay(job, Replay(score=0.95, area=0.3)),
        "the same from memory": lambda: table.counts(Replay(score=0.95, area=0.3)),
    }


def measure(ask: Callable[[], Any], times: int) -> tuple[float, float]:
    """Milliseconds: 50th and 95th percentile."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        ask()
        took.append(1e3 * (time.perf_counter() - began))
    return float(np.percentile(took, 50)), float(np.percentile(took, 95))


def exported(engine: Engine, jobs: list[JobId], rows: int, folder: Path) -> str:
    """One file of many rows, and what it took."""
    store, process = VerdictStore(engine), psutil.Process()
    path, before, most = folder / "verdicts.parquet", process.memory_info().rss, 0
    began = time.perf_counter()
    with path.open("wb") as out:
        found = chain.from_iterable(store.stream(VerdictFilter(job_id=job)) for job in jobs)
        for part in encoded(islice(found, rows), ExportFormat.PARQUET):
            out.write(part)
            most = max(most, process.memory_info().rss)
    took = time.perf_counter() - began
    back = pq.read_metadata(path).num_rows
    return f"{back:,} rows exported and read back in {took:.0f} s, growth {max(0, most - before) / 1e6:.0f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--export-rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, started("postgresql", folder) as backend:
        url = backend.fresh()
        with database(url) as engine:
            began = time.perf_counter()
            jobs = fill(engine, arguments.rows)
            print(
                f"{arguments.rows:,} verdicts in {JOBS} jobs, filled in {time.perf_counter() - began:.0f} s", flush=True
            )
            writer = multiprocessing.get_context("spawn").Process(target=record_for_ever, args=(url,), daemon=True)
            writer.start()
            try:
                print(f"\n{'':<40}{'p50 ms':>9}{'p95 ms':>9}")
                for name, ask in questions(engine, jobs, arguments.rows).items():
                    ask()
                    p50, p95 = measure(ask, TIMES)
                    print(f"{name:<40}{p50:>9.1f}{p95:>9.1f}", flush=True)
                print(f"\n{exported(engine, jobs, arguments.export_rows, Path(folder))}", flush=True)
            finally:
                writer.terminate()
                writer.join()


if __name__ == "__main__":
    main()
