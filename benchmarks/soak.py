"""Millions of images through everything but their bytes: does it stay flat?

Real are: preparing from lists, the dispatcher with its leases and look-ups, recording, completion, PostgreSQL (which
need not survive a power cut here), and `nclscreen serve`, whose /metrics is asked every five seconds. Not here: Ray,
fetching, decoding and the model: every image gets a constant answer at once, and one in ten is flagged. Ten jobs of
equal size: five one after the other, then five side by side.
Run: python benchmarks/soak.py [--images N] [--plot FILE.png] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil
from sqlalchemy import Engine, func, select, text

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "platform"), str(ROOT / "tests")]

from support.constant_dispatcher import constant_verdicts  # noqa: E402
from support.servers.postgres import PostgresServer  # noqa: E402

from jobs.domain import JobId, ModelRef, NewJob  # noqa: E402
from jobs.domain.states import FINAL, JobState  # noqa: E402
from jobs.lifecycle.job_store import JobStore  # noqa: E402
from jobs.sql.database import create_database_engine, reading  # noqa: E402
from jobs.sql.migrations import upgrade  # noqa: E402
from jobs.sql.tables import jobs, verdicts  # noqa: E402

MODEL = ModelRef(name="constant", fingerprint="c0" * 32)
JOBS = 10
IN_TURN = 5
SCRAPE_EVERY_S = 5.0
LOOK_EVERY_S = 0.25
MB = 1 << 20
_SIZES = """
SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') AS wal, pg_total_relation_size('verdicts') AS verdicts,
       (SELECT sum(n_dead_tup) FROM pg_stat_user_tables) AS dead
"""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One scrape, and what was seen beside it."""

    seconds: float
    #: with a verdict, by the accounts of the jobs
    images: int
    queue_age_s: float
    #: as the client saw it, and the database's part of the last answer that was not kept from before
    scrape_ms: float
    database_ms: float
    #: USS of the two programs; PSS of the server's processes, so that what they share counts once
    dispatcher_mb: float
    web_mb: float
    postgres_mb: float
    #: CPU time of the dispatcher and of the server, so far: unlike images/s it does not depend on what else runs
    cpu_s: float
    wal_bytes: int
    verdicts_bytes: int
    dead_rows: int


@dataclass(frozen=True, kw_only=True)
class Tenth:
    """What was seen between two tenths of the images; of several scrapes the median, of memory the most."""

    images: int
    images_per_s: float
    queue_age_s: float
    scrape_ms: float
    slowest_scrape_ms: float
    database_ms: float
    dispatcher_mb: float
    web_mb: float
    postgres_mb: float
    cpu_us_per_image: float
    wal_bytes_per_image: float
    verdicts_bytes_per_image: float
    dead_rows: int


def write_list(path: Path, job: int, images: int) -> None:
    """Keys of about 70 characters that no other job has, sizes as photographs have them."""
    sizes = np.random.default_rng(job).integers(100_000, 8_000_000, images)
    with path.open("w") as file:
        file.write("bucket,key,size,etag\n")
        for i, size in enumerate(sizes):
            day = f"2026/{i % 12 + 1:02d}/{i % 28 + 1:02d}"
            file.write(f"archive,batch-{job:02d}/{day}/camera-{i % 97:03d}/photograph-{i:09d}.jpg,{size},{i:032x}\n")


def dispatch() -> None:
    """The dispatcher as `nclscreen up` builds it, on threads that answer at once; in a process of its own."""
    from jobs.screening.thread_runner import ThreadRunner
    from jobs.testing import FixedModels
    from nclscreen.cluster_options import shards_in_flight
    from nclscreen.wiring import wire

    wiring = wire()
    runner = ThreadRunner(constant_verdicts, shards_in_flight(wiring.settings))
    dispatcher = wiring.dispatcher(runner, FixedModels(MODEL.fingerprint))
    signal.signal(signal.SIGTERM, lambda *_: dispatcher.stop())
    dispatcher.run()


@contextmanager
def program(arguments: Sequence[str], env: dict[str, str], log: Path) -> Iterator[psutil.Popen]:
    with log.open("w") as said, psutil.Popen([sys.executable, *arguments], env=env, stderr=said) as process:
        try:
            yield process
        finally:
            process.terminate()


def address_of(web: psutil.Popen, log: Path) -> str:
    """Where `nclscreen serve` says that it listens."""
    while web.poll() is None:
        if found := re.search(r"http://\S+/", log.read_text()):
            return found[0]
        time.sleep(LOOK_EVERY_S)
    raise SystemExit(f"nclscreen serve did not start: {log.read_text()}")


def cpu_s(process: psutil.Process) -> float:
    """With that of its children that ended."""
    return sum(process.cpu_times()[:4])


class Watch:
    """Looks at everything from outside."""

    def __init__(
        self, engine: Engine, server: PostgresServer, address: str, *, dispatcher: psutil.Popen, web: psutil.Popen
    ) -> None:
        self._engine = engine
        self._server = server
        self._address = address
        self._dispatcher = dispatcher
        self._web = web
        self._began = time.perf_counter()
        #: (seconds, images with a verdict)
        self.marks: list[tuple[float, int]] = [(0.0, 0)]
        self.samples: list[Sample] = []

    def look(self) -> None:
        """Count; and scrape, when it is time."""
        with reading(self._engine) as connection:
            done = connection.execute(select(func.sum(jobs.c.scored + jobs.c.reused + jobs.c.failed))).scalar() or 0
        self.marks.append((time.perf_counter() - self._began, int(done)))
        if self.marks[-1][0] >= SCRAPE_EVERY_S * (len(self.samples) + 1):
            self.samples.append(self._sample())

    def _sample(self) -> Sample:
        seconds, images = self.marks[-1]
        began = time.perf_counter()
        with urllib.request.urlopen(f"{self._address}metrics", timeout=60) as answer:
            told = answer.read().decode()
        took_ms = 1000 * (time.perf_counter() - began)
        figure = {name: float(value) for name, value in re.findall(r"^(\w+) (\S+)$", told, re.MULTILINE)}
        with reading(self._engine) as connection:
            sizes = connection.execute(text(_SIZES)).one()
        return Sample(
            seconds=seconds,
            images=images,
            queue_age_s=figure["nclscreen_queue_age_seconds"],
            scrape_ms=took_ms,
            database_ms=1000 * figure["nclscreen_scrape_seconds"],
            dispatcher_mb=self._dispatcher.memory_full_info().uss / MB,
            web_mb=self._web.memory_full_info().uss / MB,
            postgres_mb=self._server.total(lambda each: each.memory_full_info().pss) / MB,
            cpu_s=cpu_s(self._dispatcher) + self._server.total(cpu_s),
            wal_bytes=int(sizes.wal),
            verdicts_bytes=sizes.verdicts,
            dead_rows=int(sizes.dead),
        )


def soak(images: int) -> Watch:
    """All jobs to their end; what was seen. Ends the program where the accounts are wrong."""
    each = images // JOBS
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nclsoak-")))
        server = PostgresServer()
        stack.callback(server.close)
        url = server.create_database()
        engine = create_database_engine(url)
        stack.callback(engine.dispose)
        upgrade(engine)
        store = JobStore(engine)
        env = {name: value for name, value in os.environ.items() if not name.startswith("NCLSCREEN_")}
        env |= {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "platform")]),
            "NCLSCREEN_HOME": str(folder / "home"),
            "NCLSCREEN_DATABASE_URL": url,
            "NCLSCREEN_SHARDS_IN_FLIGHT": "4",
        }
        web_command = ["-c", "from nclscreen.cli import main; main()", "serve", "--port", "0"]
        web = stack.enter_context(program(web_command, env, folder / "web.log"))
        address = address_of(web, folder / "web.log")
        dispatcher = stack.enter_context(program([__file__, "--dispatch"], env, folder / "dispatcher.log"))

        def submit(job: int) -> JobId:
            path = folder / f"{job}.csv"
            write_list(path, job, each)
            return store.submit(NewJob(source=str(path), model=MODEL, threshold=0.5))

        watch = Watch(engine, server, address, dispatcher=dispatcher, web=web)
        submitted: list[JobId] = []
        for together in [*((job,) for job in range(IN_TURN)), tuple(range(IN_TURN, JOBS))]:
            submitted += [submit(job) for job in together]
            while not all(store.get(job_id).state in FINAL for job_id in submitted[-len(together) :]):
                for process in (dispatcher, web):
                    if process.poll() is not None:
                        said = "".join(log.read_text() for log in folder.glob("*.log"))
                        raise SystemExit(f"a program ended before its time: {said}")
                time.sleep(LOOK_EVERY_S)
                watch.look()
        check(engine, store, submitted, each)
        return watch


def check(engine: Engine, store: JobStore, submitted: Sequence[JobId], each: int) -> None:
    """Ends the program unless every job is completed and every image has one verdict."""
    for job_id in submitted:
        job = store.get(job_id)
        if job.state is not JobState.COMPLETED or job.counts.done != each:
            raise SystemExit(f"job {job_id} is {job.state.value} with {job.counts.done:,} of {each:,} images")
    with reading(engine) as connection:
        rows = connection.execute(select(func.count()).select_from(verdicts)).scalar_one()
    if rows != each * len(submitted):
        raise SystemExit(f"{rows:,} verdicts for {each * len(submitted):,} images")


def tenths(watch: Watch, images: int) -> list[Tenth]:
    """The run in ten parts of equally many images."""
    times, seen = zip(*watch.marks, strict=True)
    # when so many were there first: a tenth ends with its last image, and preparing the next job is the next one's
    counts, where = np.unique(seen, return_index=True)
    found = []
    for part in range(10):
        first, last = part * images / 10, (part + 1) * images / 10
        began, ended = np.interp([first, last], counts, np.asarray(times)[where])
        within = [each for each in watch.samples if began < each.seconds <= ended]
        near = within or [min(watch.samples, key=lambda each: abs(each.seconds - ended))]
        before = max(
            (each for each in watch.samples if each.seconds <= began), key=lambda s: s.seconds, default=near[0]
        )
        recorded = max(1, near[-1].images - before.images)
        found.append(
            Tenth(
                images=round(last),
                images_per_s=(last - first) / (ended - began),
                queue_age_s=max(each.queue_age_s for each in near),
                scrape_ms=statistics.median(each.scrape_ms for each in near),
                slowest_scrape_ms=max(each.scrape_ms for each in near),
                database_ms=statistics.median(each.database_ms for each in near),
                dispatcher_mb=max(each.dispatcher_mb for each in near),
                web_mb=max(each.web_mb for each in near),
                postgres_mb=max(each.postgres_mb for each in near),
                cpu_us_per_image=1e6 * (near[-1].cpu_s - before.cpu_s) / recorded,
                wal_bytes_per_image=(near[-1].wal_bytes - before.wal_bytes) / recorded,
                verdicts_bytes_per_image=near[-1].verdicts_bytes / max(1, near[-1].images),
                dead_rows=max(each.dead_rows for each in near),
            )
        )
    return found


def plot(watch: Watch, rows: Sequence[Tenth], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (rate, scrape, memory) = plt.subplots(3, 1, figsize=(8, 8), sharex=True, layout="constrained")
    edges = [0, *(row.images for row in rows)]
    rate.stairs([row.images_per_s for row in rows], edges, baseline=None)
    rate.set(ylabel="images/s, by tenth", ylim=(0, None))
    seen = [sample.images for sample in watch.samples]
    scrape.plot(seen, [sample.scrape_ms for sample in watch.samples], label="scrape, ms")
    scrape.plot(seen, [1000 * sample.queue_age_s for sample in watch.samples], label="queue age, ms")
    scrape.set(yscale="log")
    for name, label in (("dispatcher_mb", "dispatcher"), ("web_mb", "web"), ("postgres_mb", "PostgreSQL")):
        memory.plot(seen, [getattr(sample, name) for sample in watch.samples], label=label)
    memory.set(xlabel="images with a verdict", ylabel="memory, MB", ylim=(0, None))
    for axes in (scrape, memory):
        axes.legend()
    for axes in (rate, scrape, memory):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2_000_000, help="a multiple of ten")
    parser.add_argument("--plot", type=Path, help="write a picture")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    parser.add_argument("--dispatch", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.dispatch:
        dispatch()
        return
    watch = soak(arguments.images)
    rows = tenths(watch, arguments.images)
    if arguments.plot:
        plot(watch, rows, arguments.plot)
    if arguments.json:
        document = {"tenths": [asdict(row) for row in rows], "samples": [asdict(each) for each in watch.samples]}
        print(json.dumps({"images": arguments.images, "seconds": watch.marks[-1][0], **document}))
        return
    print(f"{arguments.images:,} images in {watch.marks[-1][0]:,.0f} s, {len(watch.samples)} scrapes; memory in MB")
    print(
        f"{'images':>10}{'images/s':>10}{'CPU us':>8}{'queue age s':>13}{'scrape ms':>11}{'slowest':>9}"
        f"{'database ms':>13}{'dispatcher':>12}{'web':>6}{'PostgreSQL':>12}{'WAL B/image':>13}{'table B/image':>15}"
        f"{'dead rows':>11}"
    )
    for row in rows:
        print(
            f"{row.images:>10,}{row.images_per_s:>10,.0f}{row.cpu_us_per_image:>8.0f}{row.queue_age_s:>13.1f}"
            f"{row.scrape_ms:>11.1f}{row.slowest_scrape_ms:>9.1f}{row.database_ms:>13.1f}{row.dispatcher_mb:>12.1f}"
            f"{row.web_mb:>6.0f}{row.postgres_mb:>12.0f}{row.wal_bytes_per_image:>13,.0f}"
            f"{row.verdicts_bytes_per_image:>15,.0f}{row.dead_rows:>11,}"
        )


if __name__ == "__main__":
    main()
