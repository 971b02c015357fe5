"""Two model versions on one Ray cluster at once: nobody's jobs fail, and what was begun on old weights ends on them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.flow_program import Program, wait_until
from support.odd_images import encoded, photo
from support.ray_clusters import cluster_of
from support.tiny_model import save_tiny_model

from jobs.domain.states import JobState
from ncl_model.inference.predictor import Predictor
from nclscreen.settings import Settings
from nclscreen.wiring import Wiring

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(420),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),  # Ray's own
]

IMAGES = 40


@pytest.fixture
def cluster() -> Iterator[str]:
    """The address of a cluster that outlives its dispatchers."""
    with cluster_of({"num_cpus": 4}) as made:
        yield made.address


@pytest.fixture
def weights(tmp_path: Path) -> list[Path]:
    return [save_tiny_model(tmp_path / f"tiny{seed}.safetensors", seed=seed) for seed in (0, 1)]


@pytest.fixture
def program(tmp_path: Path, cluster: str) -> Iterator[Program]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("NCLSCREEN_", "AWS_"))}
    env |= {
        "NCLSCREEN_HOME": str(tmp_path / "home"),
        "NCLSCREEN_RAY_ADDRESS": cluster,
        "NCLSCREEN_REPLICA_CPUS": "0.5",
        "NCLSCREEN_REPLICA_THREADS": "1",
        "NCLSCREEN_SHARD_CPUS": "0.5",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    made = Program(env)
    yield made
    made.close()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(IMAGES):
        (folder / f"{number:03d}.png").write_bytes(encoded(photo(seed=number), "PNG"))
    return folder


def test_jobs_on_old_and_on_new_weights_run_at_once_and_a_lone_upgraded_dispatcher_ends_the_old_ones(
    program: Program, weights: list[Path], photos: Path, tmp_path: Path
) -> None:
    old, new = ({"NCLSCREEN_WEIGHTS": str(path)} for path in weights)
    wiring = Wiring(Settings(home=tmp_path / "home"))

    def submit(which: dict[str, str]) -> str:
        done = program("submit", str(photos), "--rescore", **which)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def completed(*job_ids: str) -> bool:
        states = [wiring.jobs.get(job_id).state for job_id in job_ids]
        assert JobState.FAILED not in states, [wiring.jobs.get(job_id).error for job_id in job_ids]
        return set(states) == {JobState.COMPLETED}

    first = _up(program, old)
    second = _up(program, new)
    both = [submit(old), submit(new)]
    wait_until(lambda: completed(*both), "a job on each")

    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=60)
    after_upgrade = [submit(old), submit(new)]
    wait_until(lambda: completed(*after_upgrade), "the old job, by the upgraded dispatcher")

    for job_ids in (both, after_upgrade):
        for job_id, path in zip(job_ids, weights, strict=True):
            _check_scores(wiring, job_id, path, photos)
    second.send_signal(signal.SIGTERM)
    _, err = second.communicate(timeout=60)
    assert second.returncode == 0, err
    assert _hosted(program.env["NCLSCREEN_RAY_ADDRESS"]) == set()
    wiring.engine.dispose()


def _up(program: Program, which: dict[str, str]) -> subprocess.Popen[str]:
    process = program.start("up", **which)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("submit work with"):
            return process
    raise AssertionError("it did not come up")


def _check_scores(wiring: Wiring, job_id: str, weights: Path, photos: Path) -> None:
    """Every verdict is this model's, to the last digit that the database keeps."""
    predictor = Predictor.setup(weights)
    job = wiring.jobs.get(job_id)
    assert (job.model.fingerprint, job.counts.scored) == (predictor.fingerprint, IMAGES)
    found = {each.verdict.key: each.verdict.score for each in wiring.verdicts.of_job(job.id)}
    for path in sorted(photos.iterdir()):
        (expected,) = predictor.localize([predictor.decode(path.read_bytes())])
        assert found[path.name] == pytest.approx(expected.score, abs=1e-6)


def _hosted(address: str) -> set[str]:
    """Applications on the cluster, asked by a program of its own."""
    script = (
        "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR');"
        "from ray import serve; print(*serve.status().applications)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, address],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return set(done.stdout.split())
