"""A model is promoted and rolled back while photographs are scored and a pinned job runs: nobody is refused."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from support.flow_program import Program, wait_until
from support.odd_images import encoded, photo
from support.tiny_model import save_lively_model

from jobs.domain.states import FINAL, JobState
from ncl_model.inference.predictor import Predictor
from nclscreen.services.models import register
from nclscreen.settings import Settings
from nclscreen.wiring import Wiring

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),  # Ray's own
]

IMAGES = 60


@pytest.fixture
def weights(tmp_path: Path) -> list[Path]:
    return [save_lively_model(tmp_path / f"lively{seed}.safetensors", seed=seed) for seed in (3, 4)]


@pytest.fixture
def program(tmp_path: Path, weights: list[Path]) -> Iterator[Program]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("NCLSCREEN_", "AWS_"))}
    env |= {
        "NCLSCREEN_HOME": str(tmp_path / "home"),
        "NCLSCREEN_WEIGHTS": str(weights[0]),
        "NCLSCREEN_REPLICA_THREADS": "1",
        "NCLSCREEN_REPLICA_CPUS": "0.5",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    made = Program(env)
    yield made
    made.close()


class Askers:
    """Two people who have one photograph scored again and again."""

    def __init__(self, address: str, data: bytes) -> None:
        self._address, self._data = address, data
        self._stop = threading.Event()
        #: fingerprint and score of each answer; status where it was refused
        self.answers: list[tuple[str, float]] = []
        self.refused: list[str] = []
        self.longest_s = 0.0
        self._pool = ThreadPoolExecutor(2)
        self._asking = [self._pool.submit(self._ask) for _ in range(2)]

    def _ask(self) -> None:
        with httpx2.Client(base_url=self._address, timeout=60) as client:
            while not self._stop.is_set():
                began = time.monotonic()
                answer = client.post("/v1/score", content=self._data)
                self.longest_s = max(self.longest_s, time.monotonic() - began)
                if answer.status_code == 200:
                    said = answer.json()
                    self.answers.append((said["model_fingerprint"], said["score"]))
                else:
                    self.refused.append(answer.text)
                self._stop.wait(0.05)  # people pause, and a full desk would say so

    def last(self) -> str:
        return self.answers[-1][0] if self.answers else ""

    def end(self) -> None:
        self._stop.set()
        for each in self._asking:
            each.result(60)
        self._pool.shutdown()


def _address(running: subprocess.Popen[str]) -> str:
    assert running.stderr is not None
    for line in running.stderr:
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            return found.group()
    raise AssertionError("it did not come up")


def test_nobody_is_refused_and_every_answer_is_of_the_model_that_it_names(
    program: Program, weights: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(IMAGES):
        (folder / f"{number:03d}.png").write_bytes(encoded(photo(seed=number), "PNG"))
    data = (folder / "000.png").read_bytes()
    predictors = [Predictor.setup(path) for path in weights]
    old, new = (each.fingerprint for each in predictors)
    right = {each.fingerprint: round(each.localize([each.decode(data)])[0].score, 4) for each in predictors}
    assert right[old] != right[new]
    wiring = Wiring(Settings(home=tmp_path / "home", weights=weights[0]))
    register(wiring, weights[1])

    running = program.start("up", "--port", "0")
    askers = Askers(_address(running), data)
    try:
        wait_until(lambda: askers.last() == old, "the installed model answers")
        askers.refused.clear()  # while it started
        job_id = program("submit", str(folder), "--threshold", "0").stdout.strip()
        wait_until(lambda: wiring.jobs.get(job_id).counts.done > 0, "the pinned job is under way")
        assert program("promote", new[:12]).returncode == 0
        wait_until(lambda: askers.last() == new, "the new champion answers")
        wait_until(lambda: wiring.jobs.get(job_id).state in FINAL, "the pinned job")
        assert program("rollback").returncode == 0
        wait_until(lambda: askers.last() == old, "the old champion answers again")
    finally:
        askers.end()
    assert askers.refused == []
    tally = Counter(askers.answers)
    assert set(tally) == {(old, right[old]), (new, right[new])}, tally
    job = wiring.jobs.get(job_id)
    assert (job.state, job.counts.scored, job.model.fingerprint) == (JobState.COMPLETED, IMAGES, old)
    assert {each.verdict.fingerprint for each in wiring.verdicts.of_job(job.id)} == {old}
    print(f"{len(askers.answers)} answers, the longest wait {askers.longest_s:.2f} s")
    wiring.engine.dispose()
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=60)
