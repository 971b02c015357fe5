"""What asking for known verdicts costs a claim, in an archive whose files all have one size.

Every row is an original verdict of one model. The question is asked for a shard of 512 images: by that model and by
another one, for keys that are in the archive and for keys that are not. Milliseconds, medians of five; the floor is the
same question about sizes that no file has.
Run: python benchmarks/known_verdicts.py [--rows 800000] [--backends sqlite postgresql]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

from sqlalchemy import Engine, text

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "platform"), str(ROOT / "tests"), str(ROOT / "benchmarks")]

from control_plane import database, started  # noqa: E402
from support.builders import MODEL, entry, lease, new_job, scored  # noqa: E402

from jobs.domain import ModelRef  # noqa: E402
from jobs.lifecycle.job_store import JobStore  # noqa: E402
from jobs.screening.known_verdicts import KnownVerdicts  # noqa: E402
from jobs.shards.recording import insert_verdicts  # noqa: E402
from jobs.sql.database import writing  # noqa: E402
from jobs.sql.rows import database_clock  # noqa: E402

BATCH = 5000
SHARD = 512
ONE_SIZE = 1_440_054
NOBODYS_SIZE = 77
OTHER = ModelRef(name="other", fingerprint="0f" * 32)


def fill(engine: Engine, rows: int) -> None:
    """A large archive whose files all have one size, screened by one model; a small one of all sizes by the other."""
    archive(engine, MODEL, range(rows), lambda i: ONE_SIZE)
    archive(engine, OTHER, range(2 * BATCH), lambda i: 200_000 + i)
    # as autovacuum and `PRAGMA optimize` leave it after a while
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def archive(engine: Engine, model: ModelRef, numbers: range, size: Callable[[int], int]) -> None:
    job_id = JobStore(engine).submit(new_job(model=model))
    for first in range(0, len(numbers), BATCH):
        results = [
            replace(
                scored(i, entry(f"scans/{i:09d}.bmp", etag=f"{i:032x}")),
                sha256=f"{i:064x}",
                size=size(i),
                fingerprint=model.fingerprint,
            )
            for i in numbers[first : first + BATCH]
        ]
        with writing(engine) as connection:
            insert_verdicts(connection, job_id, results, database_clock)


def asked_ms(engine: Engine, model: ModelRef, folder: str, size: int = ONE_SIZE) -> tuple[float, int]:
    """Milliseconds of one shard's question, and how many verdicts came back."""
    took, found = [], 0
    for turn in range(5):
        images = [entry(f"{folder}/{i:09d}.bmp", size=size) for i in range(turn * SHARD, (turn + 1) * SHARD)]
        began = time.perf_counter()
        found = len(KnownVerdicts(engine).recall(lease(images, model=model)).known)
        took.append(1000 * (time.perf_counter() - began))
    return median(took), found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=800_000)
    parser.add_argument("--backends", nargs="*", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    arguments = parser.parse_args()
    print(f"{'database':<12}{'verdicts':>10}{'model':>8}{'keys':>8}{'ms':>10}{'floor ms':>10}{'found':>8}", flush=True)
    for name in arguments.backends:
        with (
            tempfile.TemporaryDirectory() as folder,
            started(name, folder) as backend,
            database(backend.fresh()) as engine,
        ):
            fill(engine, arguments.rows)
            for model, said in ((MODEL, "same"), (OTHER, "other")):
                for place, keys in (("scans", "known"), ("renamed", "new")):
                    ms, found = asked_ms(engine, model, place)
                    floor, _ = asked_ms(engine, model, place, NOBODYS_SIZE)
                    print(
                        f"{name:<12}{arguments.rows:>10,}{said:>8}{keys:>8}{ms:>10.1f}{floor:>10.1f}{found:>8,}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
