"""Memory and time of preparing a corpus from manifests of growing length.

Each length runs in a process of its own; peak memory is what the operating system saw (ru_maxrss).
The manifest names images of a bucket; preparing reads no image. Run: python benchmarks/preparation.py [--json]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

LINES = (1_000, 10_000, 100_000, 1_000_000)


def write_manifest(path: Path, lines: int) -> None:
    """Keys as archives have them: dated folders, about 60 characters."""
    with path.open("w") as file:
        file.write("bucket,key,size\n")
        for i in range(lines):
            day = f"2026/{i % 12 + 1:02d}/{i % 28 + 1:02d}"
            file.write(f"archive,{day}/camera-{i % 97:03d}/photograph-{i:09d}.jpg,{i}\n")


def prepare(folder: Path, lines: int, database_url: str | None) -> dict[str, float]:
    """Prepare one manifest in this process; gives seconds, processor seconds and peak memory in MB."""
    from jobs.domain import ModelRef, NewJob
    from jobs.leased_work.held import HeldWork
    from jobs.leased_work.task import WorkTask
    from jobs.lifecycle.job_store import JobStore
    from jobs.preparation.preparer import Preparer
    from jobs.sql.database import create_database_engine
    from jobs.sql.migrations import upgrade
    from jobs.storage import S3Options, open_storage

    manifest = folder / "manifest.csv"
    write_manifest(manifest, lines)
    engine = create_database_engine(database_url or f"sqlite:///{folder / 'jobs.sqlite'}")
    upgrade(engine)
    store = JobStore(engine)
    job_id = store.submit(NewJob(source=str(manifest), model=ModelRef(name="m", fingerprint="0" * 64), threshold=0.5))
    before_mb = peak_mb()
    started, cpu = time.perf_counter(), time.process_time()
    preparer = Preparer(store, lambda container: open_storage(container, S3Options()))
    assert WorkTask(preparer, HeldWork(store.work), only=job_id).step(threading.Event())
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    job = store.get(job_id)
    assert job.counts.total == lines, job
    return {"lines": lines, "seconds": seconds, "cpu_s": cpu, "before_mb": before_mb, "peak_mb": peak_mb()}


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(lines: int, database_url: str | None) -> dict[str, float]:
    """The same in a fresh process, so that one length does not hide another's peak."""
    command = [sys.executable, __file__, "--child", str(lines)]
    if database_url:
        command += ["--database-url", database_url]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--lines", type=int, nargs="*", default=LINES)
    parser.add_argument("--database-url", help="PostgreSQL instead of a temporary SQLite file")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(prepare(Path(folder), arguments.child, arguments.database_url)))
        return
    rows = [measure(lines, arguments.database_url) for lines in arguments.lines]
    if arguments.json:
        print(json.dumps(rows))
        return
    print(f"{'lines':>10} {'seconds':>9} {'CPU s':>7} {'lines/s':>9} {'MB before':>10} {'MB peak':>9} {'/ first':>8}")
    for row in rows:
        print(
            f"{row['lines']:>10,} {row['seconds']:>9.2f} {row['cpu_s']:>7.2f} {row['lines'] / row['seconds']:>9,.0f} "
            f"{row['before_mb']:>10.1f} {row['peak_mb']:>9.1f} {row['peak_mb'] / rows[0]['peak_mb']:>8.2f}"
        )


if __name__ == "__main__":
    main()
