"""A bucket that others write to while jobs read it: swaps, deletions, new versions, archiving, and things put back.

    PYTHONPATH=platform:.:tests python -m chaos.changing_bucket SEED ROUNDS

Held after every job: each verdict is of bytes whose sha256 it states, these were what was frozen, with the ETag of the
bytes; or the image has one of the codes that say what became of it. Real S3 (Swift); a proxy says what Swift cannot:
that an object lies in an archive.
"""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from hashlib import md5, sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from support.builders import Bench, check_completed, new_job, picture
from support.preparing import prepare_one
from support.servers.faulty_proxy import FaultyProxy, Refuse
from support.servers.s3_server import S3Bucket, S3Server

from jobs.domain import FailureThreshold, JobOptions, Verdict
from jobs.preparation.preparer import Preparer
from jobs.screening.known_verdicts import KnownVerdicts
from jobs.screening.shard_screener import ScreeningLimits
from jobs.sql.database import create_database_engine
from jobs.sql.migrations import upgrade
from jobs.storage import S3Storage
from jobs.storage.s3_clients import client_for
from jobs.verdicts import VerdictStore

IMAGES = 12
#: what an image may have instead of a verdict: somebody meddled with it
ALLOWED = {"changed", "not_found", "archived"}
_ARCHIVED = Refuse(403, "InvalidObjectState")
#: each read takes so long, for the meddler to come in between
LATENCY_S = 0.15
_NEVER = FailureThreshold(ratio=1.0)


class Meddler(threading.Thread):
    """Changes one object after another, in an order that follows from the seed, until told to stop."""

    def __init__(self, bucket: ChangingBucket, seed: int) -> None:
        super().__init__(name="meddler")
        self._bucket = bucket
        self._chance = random.Random(seed)
        self._stop_it = threading.Event()
        self.done: Counter[str] = Counter()

    def run(self) -> None:
        while not self._stop_it.wait(self._chance.uniform(0, 0.01)):
            action = self._chance.choice(
                [self._bucket.swap, self._bucket.delete, self._bucket.archive, self._bucket.restore]
            )
            action(self._chance.choice(self._bucket.keys), self._chance)
            self.done[action.__name__] += 1

    def stop(self) -> None:
        self._stop_it.set()
        self.join()


class ChangingBucket:
    """The bucket, and all that was ever in it."""

    def __init__(self, bucket: S3Bucket, proxy: FaultyProxy, *, versioned: bool) -> None:
        self.direct = S3Storage(bucket.container, bucket.options)
        self.through = S3Storage(bucket.container, replace(bucket.options, endpoint_url=proxy.endpoint_url))
        self.proxy = proxy
        self.client: Any = client_for(bucket.options)
        self.name = bucket.name
        if versioned:
            self.client.put_bucket_versioning(Bucket=self.name, VersioningConfiguration={"Status": "Enabled"})
        self.keys = [f"{number:02d}.png" for number in range(IMAGES)]
        #: every file that was ever written, by its sha256
        self.contents: dict[str, bytes] = {}
        for number, key in enumerate(self.keys):
            self.put(key, picture(number))

    def put(self, key: str, data: bytes) -> None:
        self.contents[sha256(data).hexdigest()] = data
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def swap(self, key: str, chance: random.Random) -> None:
        """Another photograph of the same size, sometimes the one of before."""
        self.put(key, picture(chance.choice([self.keys.index(key), chance.randrange(100, 140)])))

    def delete(self, key: str, chance: random.Random) -> None:
        self.client.delete_object(Bucket=self.name, Key=key)

    def archive(self, key: str, chance: random.Random) -> None:
        self.proxy.refusals = {f"/{key}": _ARCHIVED}

    def restore(self, key: str, chance: random.Random) -> None:
        """All is as it was."""
        self.proxy.refusals = {}
        self.put(key, picture(self.keys.index(key)))

    def frozen(self) -> dict[str, str]:
        """ETags by key, as a listing shows them now."""
        return {info.key: info.etag or "" for info in self.direct.list_objects()}


class Round:
    """Three jobs over one bucket: two that are meddled with, and one in peace."""

    def __init__(self, server: S3Server, proxy: FaultyProxy, folder: Path, seed: int) -> None:
        engine = create_database_engine(f"sqlite:///{folder / f'{seed}.db'}")
        upgrade(engine)
        self.bench = Bench(engine)
        self.bucket = ChangingBucket(server.create_bucket(), proxy, versioned=seed % 2 == 0)
        self.seed = seed
        self.codes: Counter[str] = Counter()

    def run(self) -> Counter[str]:
        """What became of the images. Raises AssertionError."""
        for number, trusting in enumerate((True, False)):
            self._job(trusting, Meddler(self.bucket, 1000 * self.seed + number))
        self.bucket.proxy.refusals = {}
        for key in self.bucket.keys:
            self.bucket.restore(key, random.Random(0))
        found = self._job(True, None)
        assert all(verdict.error_code is None for verdict in found)
        for number, verdict in enumerate(found):
            assert verdict.score == self.bench.scorer.score_of(picture(number)), "a lasting wrong verdict"
        self.bench.engine.dispose()
        return self.codes

    def _job(self, trusting: bool, meddler: Meddler | None) -> list[Verdict]:
        bench, storage = self.bench, self.bucket.through
        options = JobOptions(trust_etags=trusting, failure_threshold=_NEVER)
        job_id = bench.store.submit(new_job(source=f"{storage.container}/", options=options, threshold=1.0))
        before = self.bucket.frozen()
        prepare_one(bench.store, Preparer(bench.store, lambda container: storage))
        assert before == self.bucket.frozen()
        if meddler is not None:
            self.bucket.proxy.latency_s = LATENCY_S
            meddler.start()
        try:
            with bench.screener(open_storage=lambda container: storage, limits=ScreeningLimits(fetchers=2)) as screener:
                known = KnownVerdicts(bench.engine)
                bench.dispatcher(
                    screener.screen, open_storage=lambda container: storage, known=known, only_job=job_id
                ).run()
        finally:
            self.bucket.proxy.latency_s = 0.0
            if meddler is not None:
                meddler.stop()
        check_completed(bench.engine, job_id, len(before))
        found = [each.verdict for each in VerdictStore(bench.engine).of_job(job_id)]
        for verdict in found:
            self._hold(verdict, before)
        return found

    def _hold(self, verdict: Verdict, frozen: dict[str, str]) -> None:
        if verdict.error_code is not None:
            self.codes[verdict.error_code.value] += 1
            assert verdict.error_code.value in ALLOWED, verdict
            return
        self.codes["reused" if verdict.reused else "scored"] += 1
        data = self.bucket.contents[verdict.sha256 or ""]
        assert verdict.score == self.bench.scorer.score_of(data), "the score is that of other bytes"
        assert verdict.etag == md5(data).hexdigest(), "the ETag is that of other bytes"
        assert verdict.etag == frozen[verdict.key], "these bytes were not frozen"


def run(seed: int, rounds: int, server: S3Server, told: Callable[[str], None] = print) -> Counter[str]:
    """So many rounds; gives what became of all images. Raises AssertionError for the first that does not hold."""
    total: Counter[str] = Counter()
    proxy = FaultyProxy(server.endpoint_url)
    try:
        with TemporaryDirectory(prefix="nclscreen-changing-") as folder:
            for number in range(rounds):
                codes = Round(server, proxy, Path(folder), seed + number).run()
                total += codes
                told(f"round {number + 1} of {rounds}, seed {seed + number}: held; {dict(sorted(codes.items()))}")
    finally:
        proxy.close()
    return total


def main() -> None:
    import os

    seed, rounds = (int(text) for text in sys.argv[1:3])
    server = S3Server()
    try:
        os.environ.update(server.env)
        total = run(seed, rounds, server, lambda line: print(line, flush=True))
        print(f"{rounds} of {rounds} rounds held: {dict(sorted(total.items()))}")
    finally:
        server.close()


if __name__ == "__main__":
    main()
