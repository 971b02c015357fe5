"""The rehearsal on several hosts, made of namespaces: Ray's head, two workers, PostgreSQL with S3, the platform.

  worker  a worker's host is cut off in the middle of a job, and comes back
  head    Ray's head is killed in the middle of a job, and a new one comes to its address
  alone   the same to a `nclscreen up` that nobody starts again: it has to end by itself
  train   a host is cut off under Ray Train, and comes back: the run is resumed

After each job every image has exactly one verdict, counters equal the rows, no shard is left over, and only broken
images have no score. Ray asks for a token. Needs root; says why and does nothing where it may not.
Run: python tests/chaos/rehearsal.py [--images N] [--only PART...]; exit code 0 when every part held, else 1.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chaos.corpus import BROKEN_EVERY
from chaos.rehearsed_system import LEASE_S, PATIENCE_S, WORKERS, RehearsedSystem
from sqlalchemy import text
from support import hosts
from support.servers import s3_server
from support.training_material import write_source

from jobs.domain import JobId
from jobs.sql.database import reading

IMAGES = 600
#: share of the images that are recorded when something happens
MIDDLE = 0.15
#: longer than Ray takes to give a silent node up
CUT_S = 75.0
#: `up` ends after `MAX_SILENCE_S` of `nclscreen.services.session`, and some seconds for its going
ALONE_S = 300.0
STEPS = 200
_INSIDE = "--inside"
_BEGAN = time.monotonic()


@dataclass(kw_only=True)
class Result:
    """What came of one part."""

    part: str
    #: name and value, in the order in which they were found
    figures: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def note(self, name: str, value: object) -> None:
        """Tell it at once, and in the table at the end."""
        told = f"{value:.0f} s" if isinstance(value, float) else str(value)
        self.figures.append((name, told))
        say(f"{self.part}: {name}: {told}")


def say(what: str) -> None:
    print(f"{time.monotonic() - _BEGAN:6.0f} s  {what}", flush=True)


def cut_a_worker(system: RehearsedSystem, result: Result) -> None:
    """The host with the model's replica, or the most shards."""
    job_id = _job_in_its_middle(system, result)
    running = {host: _screening(host) for host in system.workers}
    victim = max(running, key=lambda host: running[host])
    replicas, shards = running[victim]
    result.note("cut off", f"{victim.name}, with {replicas} replicas and {shards} workers on it")
    victim.cut_off()
    cut_at = time.monotonic()
    while time.monotonic() - cut_at < CUT_S and not system.over(job_id):
        time.sleep(0.2)
    over_s = time.monotonic() - cut_at
    result.note("recorded while it was away", f"{system.done(job_id)} of {system.images}")
    time.sleep(max(0.0, CUT_S - over_s))
    result.note("nodes that Ray sees then", f"{system.nodes()} of {len(WORKERS) + 2}")
    away_s = time.monotonic() - cut_at
    victim.connect()
    result.note("away for", away_s)
    result.note("a node of Ray's again after", system.wait(lambda: system.nodes() == len(WORKERS) + 2, "its node"))
    system.wait(lambda: system.over(job_id), "the end of the job")
    result.note("job over after the cut", over_s if over_s < CUT_S else time.monotonic() - cut_at)
    _account(system, result, job_id)


def kill_the_head(system: RehearsedSystem, result: Result) -> None:
    """The platform runs as `deploy/on_ray.sh` has it."""
    job_id = _job_in_its_middle(system, result)
    before = {cluster for cluster, _ in system.hosting()}
    began = time.monotonic()
    system.replace_head()
    result.note("a new head answers after", time.monotonic() - began)
    system.wait(lambda: {cluster for cluster, _ in system.hosting()} - before, "the model on the new cluster")
    result.note("hosting again after", time.monotonic() - began)
    system.wait(lambda: system.over(job_id), "the end of the job")
    result.note("job over after", time.monotonic() - began)
    _account(system, result, job_id)


def kill_the_head_under_a_lone_up(system: RehearsedSystem, result: Result) -> None:
    """Another cluster comes to the address of its own, of which it is no part."""
    system.restart_platform_host()
    before = {dispatcher for _, dispatcher in system.hosting()}
    up = system.start_platform_by_itself()
    system.wait(lambda: {dispatcher for _, dispatcher in system.hosting()} - before, "the lone platform's model")
    job_id = _job_in_its_middle(system, result)
    began = time.monotonic()
    system.replace_head()
    seconds = hosts.wait_for_end(up, ALONE_S)
    if seconds is None:
        result.problems.append(f"up still runs {ALONE_S:.0f} s after the new head")
    else:
        result.note("up ended by itself after", time.monotonic() - began)
        result.note("exit code", up.returncode)
    say(f"it said:\n{system.host('platform').told(6)}")
    system.restart_platform_host()
    system.start_platform()
    started = time.monotonic()
    system.wait(lambda: system.over(job_id), "the end of the job")
    result.note("job over after another up was started", time.monotonic() - started)
    _account(system, result, job_id)


def cut_a_training_host(system: RehearsedSystem, result: Result) -> None:
    """Two workers, each on a host of its own; everything of the run is in the bucket."""
    system.start_for_training()
    log = system.host("platform").log
    heard = log.stat().st_size

    def told() -> str:
        return log.read_text(errors="replace")[heard:]

    training = system.start_training(
        write_source(system.network.folder / "set"), f"{system.bucket}/runs/rehearsal", STEPS
    )
    began = time.monotonic()
    system.wait(lambda: re.search(r"step \d", told()) or training.poll() is not None, "the first steps")
    time.sleep(5)  # a state is saved meanwhile
    system.workers[1].cut_off()
    result.note("cut off after", time.monotonic() - began)
    time.sleep(CUT_S)
    system.workers[1].connect()
    back_at = time.monotonic()
    result.note("away for", CUT_S)
    system.wait(lambda: "going on from the saved state" in told() or training.poll() is not None, "the run to go on")
    result.note("resumed after it came back", time.monotonic() - back_at)
    output, _ = training.communicate(timeout=PATIENCE_S)
    try:
        document = json.loads(output)
    except ValueError:
        result.problems.append(f"its standard output is no document: {output[-1500:]!r}")
        return
    resumed = re.findall(r"saved state of step ([\d,]+)", told())
    result.note("resumed from step", ", ".join(resumed) or "none")
    result.note("steps", f"{document.get('step')} of {STEPS}")
    if not (document.get("finished") and document["step"] == STEPS and resumed):
        result.problems.append(f"the run was not resumed and finished: {told()[-1500:]}")


PARTS: dict[str, Callable[[RehearsedSystem, Result], None]] = {
    "worker": cut_a_worker,
    "head": kill_the_head,
    "alone": kill_the_head_under_a_lone_up,
    "train": cut_a_training_host,
}


def _screening(host: hosts.Host) -> tuple[int, int]:
    """Replicas and screening workers on it."""
    titles = host.titles()
    return (
        sum(title.startswith("ray::ServeReplica:localizer") for title in titles),
        sum(title.startswith("ray::ScreeningWorker") for title in titles),
    )


def _job_in_its_middle(system: RehearsedSystem, result: Result) -> JobId:
    job_id = system.submit()
    system.wait(lambda: system.done(job_id) >= MIDDLE * system.images, "the middle of the job")
    result.note("struck with", f"{system.done(job_id)} of {system.images} recorded")
    return job_id


def _account(system: RehearsedSystem, result: Result, job_id: JobId) -> None:
    """What SQL says of the job, held against what has to be."""
    with reading(system.wiring.engine) as connection:

        def rows(query: str) -> list[tuple[object, ...]]:
            return [tuple(row) for row in connection.execute(text(query), {"job": job_id})]

        verdicts = rows("SELECT ordinal, key, error_code FROM verdicts WHERE job_id = :job")
        ((state, *counters),) = rows("SELECT state, total, scored + reused, failed FROM jobs WHERE id = :job")
        shards = dict(rows("SELECT state, count(*) FROM shards WHERE job_id = :job GROUP BY state"))  # type: ignore[arg-type]
        ((attempts,),) = rows("SELECT sum(attempt) FROM shards WHERE job_id = :job")
    ordinals = {ordinal for ordinal, _, _ in verdicts}
    failed = [str(key) for _, key, code in verdicts if code is not None]
    lost, doubled = system.images - len(ordinals), len(verdicts) - len(ordinals)
    result.note("verdicts", f"{len(verdicts)} of {system.images}: {lost} lost, {doubled} doubled, {len(failed)} broken")
    result.note("attempts charged", attempts)
    if state != "completed" or lost or doubled or set(shards) != {"done"}:
        result.problems.append(f"the job is {state}, {lost} lost, {doubled} doubled, shards {shards}")
    if counters != [system.images, len(verdicts) - len(failed), len(failed)]:
        result.problems.append(f"counters {counters}, rows {len(verdicts)} with {len(failed)} failed")
    healthy = [key for key in failed if int(key.split("ü ")[1].split()[0]) % BROKEN_EVERY]
    if healthy:
        result.problems.append(f"healthy images without a score: {healthy}")


def rehearse(folder: Path, images: int, parts: list[str]) -> list[Result]:
    """These parts one after the other, told as they go."""
    say(f"hosts: head, {', '.join(WORKERS)}, storage, platform; {images} images, leases of {LEASE_S:.0f} s")
    system = RehearsedSystem(folder, images)
    say("the model is hosted")
    results = []
    for part in parts:
        result = Result(part=part)
        results.append(result)
        try:
            PARTS[part](system, result)
        except Exception as error:  # noqa: BLE001 - told, and the next part may hold
            result.problems.append(f"{type(error).__name__}: {error}")
        if result.problems:
            say(f"{part} FAILED: {'; '.join(result.problems)}\n{system.told()}")
    return results


def _table(results: list[Result]) -> None:
    for result in results:
        print(f"\n{result.part}: {'FAILED: ' + '; '.join(result.problems) if result.problems else 'held'}")
        for name, value in result.figures:
            print(f"  {name:<30} {value}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=list(PARTS), metavar="PART")
    parser.add_argument(_INSIDE, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside is not None:
        results = rehearse(arguments.inside, arguments.images, arguments.only)
        _table(results)
        return 1 if any(result.problems for result in results) else 0
    if (why := hosts.obstacle()) is not None:
        print(f"skipped: {why}")
        return 0
    s3_server.install()  # hosts have no way to the package index
    with tempfile.TemporaryDirectory(prefix="nclrehearsal-", dir="/var/tmp") as folder:
        return hosts.run_apart([sys.executable, *sys.argv, _INSIDE, folder])


if __name__ == "__main__":
    hosts.end_on_termination()
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
