"""The chaos campaign: one corpus is screened again and again while parts of the system are shot, stopped and cut off.

After every round: each image has exactly one verdict, counters equal the rows, no shard is waiting or held, verdicts
are those of an undisturbed run, the heatmaps of flagged images are there, the completion report has every image once,
every change of the job's state was told, and no shard was charged an attempt unless the storage of its images failed.
The faults follow from the seed alone.
Run: python tests/chaos/campaign.py [--seed N] [--rounds N]; exit code 0 when every round held, else 1.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chaos.corpus import IMAGES
from chaos.faults import FAULTS, S3_FAULTS, NoVictim
from chaos.reports_and_webhooks import report_problems, webhook_problems
from chaos.system import System
from sqlalchemy import func, select

from jobs.domain import JobId, JobOptions, NewJob, Verdict
from jobs.domain.states import FINAL, JobState
from jobs.errors import ErrorCode
from jobs.screening.heatmaps import decode_heatmap
from jobs.sql.database import reading
from jobs.sql.errors import DATABASE_AWAY
from jobs.sql.rows import verdict_from_row
from jobs.sql.tables import jobs, shards, verdicts
from jobs.storage import split_object_uri

ROUND_LIMIT_S = 300.0
#: so long a storage misbehaves at most: who writes a report asks it seldom, and more seldom each time
STORAGE_WELL_AFTER_S = 20.0
#: share of the faults that strike when the last image is recorded
AT_THE_END = 0.3
REPORTS = "reports"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The faults of one round, each with the share of images that are recorded when it strikes.

    At 1 it strikes while the report is written and the receiver is told.
    """

    faults: tuple[tuple[str, float], ...]
    seed: int


@dataclass(kw_only=True)
class Round:
    """What came of one round."""

    number: int
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0
    timeouts: int = 0
    problems: list[str] = field(default_factory=list)


def plans(seed: int, rounds: int, kinds: Sequence[str]) -> list[Plan]:
    """One or two faults a round. Every kind comes before one comes again."""
    chance = random.Random(seed)
    deck: list[str] = []
    found = []
    for _ in range(rounds):
        count = chance.choice((1, 1, 2))
        while len(deck) < count:
            deck += chance.sample(list(kinds), len(kinds))
        drawn = [deck.pop(0) for _ in range(count)]
        moments = sorted(1.0 if chance.random() < AT_THE_END else chance.uniform(0.02, 0.6) for _ in drawn)
        found.append(Plan(faults=tuple(zip(drawn, moments, strict=True)), seed=chance.randrange(2**32)))
    return found


class Campaign:
    """Rounds on one system."""

    def __init__(self, system: System, images: int) -> None:
        """Screens the corpus once without any fault: what it gets is right."""
        self._system = system
        self._images = images
        self._threshold = 0.0
        self._reports = system.wiring.open_storage(system.bucket.container)
        job_id = self._submit()
        self._finish(job_id)
        undisturbed = self._verdicts(job_id)
        scores = [verdict.score for verdict in undisturbed if verdict.score is not None]
        self._threshold = statistics.median(scores)  # flags a good half
        self._expected = {v.key: _outcome(v, self._threshold) for v in undisturbed}
        if len(self._expected) != images or len(set(scores)) < len(scores) // 2:
            raise RuntimeError("the undisturbed run is no good measure")

    def round(self, number: int, plan: Plan) -> Round:
        """Screen the corpus once more, with these faults."""
        result, began, chance = Round(number=number), time.monotonic(), random.Random(plan.seed)
        try:
            job_id = self._submit()
            for name, share in plan.faults:
                self._system.wait(lambda share=share: self._done(job_id) >= share * self._images, "the next fault")
                result.faults.append(FAULTS[name](self._system, chance))
            self._finish(job_id)
            self._system.proxy.faults.clear()  # they were for the system, not for who checks it
            result.problems = self._check(job_id, result, lenient=bool(S3_FAULTS & {name for name, _ in plan.faults}))
        except (TimeoutError, NoVictim, *DATABASE_AWAY) as error:
            result.problems.append(f"{type(error).__name__}: {error}; {self._system.state()}")
        self._system.proxy.faults.clear()
        result.seconds = time.monotonic() - began
        return result

    def _submit(self) -> JobId:
        wiring = self._system.wiring
        return wiring.jobs.submit(
            NewJob(
                source=f"{self._system.bucket.container}/photos/",
                model=wiring.model.ref,
                threshold=self._threshold,
                options=JobOptions(
                    rescore=True,
                    report=f"{self._system.bucket.container}/{REPORTS}/",
                    webhook=self._system.receiver.url,
                ),
            )
        )

    def _done(self, job_id: JobId) -> int:
        with suppress(*DATABASE_AWAY):
            return self._system.wiring.jobs.get(job_id).counts.done
        return 0

    def _finish(self, job_id: JobId) -> None:
        well_at = time.monotonic() + STORAGE_WELL_AFTER_S

        def over() -> bool:
            if time.monotonic() >= well_at:
                self._system.proxy.faults.clear()
            with suppress(*DATABASE_AWAY):
                return self._system.wiring.jobs.get(job_id).state in FINAL
            return False

        self._system.wait(over, f"the end of job {job_id}", ROUND_LIMIT_S)
        self._system.wait(lambda: self._told(job_id), f"the receiver to be told of job {job_id}", ROUND_LIMIT_S)

    def _told(self, job_id: JobId) -> bool:
        with suppress(*DATABASE_AWAY):
            return self._system.wiring.webhooks.summary(job_id).waiting == 0
        return False

    def _verdicts(self, job_id: JobId) -> list[Verdict]:
        with reading(self._system.wiring.engine) as connection:
            rows = connection.execute(
                select(verdicts, jobs.c.model_fingerprint).join(jobs).where(verdicts.c.job_id == job_id)
            )
            return [verdict_from_row(row) for row in rows]

    def _check(self, job_id: JobId, result: Round, *, lenient: bool) -> list[str]:
        """What is not as it must be. `lenient`: an image whose storage failed may have the error code `timeout`."""
        job, found = self._system.wiring.jobs.get(job_id), self._verdicts(job_id)
        problems = []
        if job.state is not JobState.COMPLETED:
            problems.append(f"the job is {job.state}: {job.error}")
        if sorted(verdict.ordinal for verdict in found) != list(range(self._images)):
            problems.append(f"{len(found)} verdicts for {self._images} images")
        rows = (
            self._images,
            sum(verdict.error_code is None for verdict in found),
            sum(verdict.flagged for verdict in found),
            sum(verdict.error_code is not None for verdict in found),
        )
        counted = (job.counts.total, job.counts.scored, job.counts.flagged, job.counts.failed)
        if counted != rows:
            problems.append(f"counters {counted}, rows {rows} (total, scored, flagged, failed)")
        problems += self._check_shards(job_id, lenient=lenient)
        for verdict in found:
            wanted, got = self._expected.get(verdict.key), _outcome(verdict, self._threshold)
            if lenient and verdict.error_code is ErrorCode.TIMEOUT:
                result.timeouts += 1
            elif got != wanted:
                problems.append(f"{verdict.key}: {got} ({verdict.error_message}), undisturbed {wanted}")
        problems += report_problems(self._reports, REPORTS, job_id, found)
        problems += webhook_problems(self._system.receiver.heard, self._system.webhook_key, job_id)
        return problems + [problem for verdict in found if verdict.flagged for problem in self._check_map(verdict)]

    def _check_shards(self, job_id: JobId, *, lenient: bool) -> list[str]:
        with reading(self._system.wiring.engine) as connection:
            charged = connection.execute(select(func.sum(shards.c.attempt)).where(shards.c.job_id == job_id)).scalar()
            states = connection.execute(
                select(shards.c.state, func.count()).where(shards.c.job_id == job_id).group_by(shards.c.state)
            )
            left = {state: count for state, count in states if state != "done"}
        problems = [f"shards left over: {left}"] if left else []
        return problems + ([f"{charged} attempts charged to shards"] if charged and not lenient else [])

    def _check_map(self, verdict: Verdict) -> list[str]:
        if verdict.map_uri is None:
            return [f"{verdict.key} is flagged and has no heatmap"]
        container, key = split_object_uri(verdict.map_uri)
        try:
            decode_heatmap(self._system.wiring.open_storage(container).read(key))
        except Exception as error:  # noqa: BLE001 - told
            return [f"the heatmap of {verdict.key} cannot be read: {error}"]
        return []


def _outcome(verdict: Verdict, threshold: float) -> tuple[object, ...]:
    """What must be the same in every run."""
    flagged = verdict.score is not None and verdict.score >= threshold
    return verdict.score, flagged, verdict.tampered_areas, verdict.error_code, verdict.sha256, verdict.width


def run(seed: int, rounds: int, *, images: int = IMAGES, kinds: Sequence[str] = tuple(FAULTS)) -> list[Round]:
    """The whole campaign, told as it goes."""
    began = time.monotonic()
    system = System(images)
    results = []
    try:
        campaign = Campaign(system, images)
        print(f"seed {seed}: {images} images, undisturbed run after {time.monotonic() - began:.0f} s", flush=True)
        for number, plan in enumerate(plans(seed, rounds, kinds), 1):
            result = campaign.round(number, plan)
            results.append(result)
            word = "FAILED" if result.problems else "held"
            late = f", {result.timeouts} timeouts" if result.timeouts else ""
            print(f"round {number:>2} {word} in {result.seconds:>5.1f} s{late}: {'; '.join(result.faults)}", flush=True)
            for problem in result.problems[:10]:
                print(f"         {problem}", flush=True)
            dead = [process for process in system.dispatchers if process.poll() is not None]
            for process in dead:
                result.problems.append(f"dispatcher {process.pid} ended by itself with {process.returncode}")
                print(f"         {result.problems[-1]}: {system.log()}", flush=True)
                system.dispatchers.remove(process)
                system.start_dispatcher()
    finally:
        system.close()
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--faults", nargs="*", default=list(FAULTS), choices=list(FAULTS), metavar="FAULT")
    parser.add_argument("--json", type=Path, help="write the rounds into this file, too")
    arguments = parser.parse_args()
    results = run(arguments.seed, arguments.rounds, images=arguments.images, kinds=arguments.faults)
    if arguments.json:
        arguments.json.write_text(json.dumps([vars(result) for result in results], indent=1))
    broken = [result.number for result in results if result.problems]
    drawn = Counter(
        name for plan in plans(arguments.seed, arguments.rounds, arguments.faults) for name, _ in plan.faults
    )
    print("faults: " + ", ".join(f"{name} {count}" for name, count in sorted(drawn.items())))
    print(f"{len(results) - len(broken)} of {len(results)} rounds held" + (f"; failed: {broken}" if broken else ""))
    return 1 if broken or len(results) < arguments.rounds else 0


if __name__ == "__main__":
    sys.exit(main())
