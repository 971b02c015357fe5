"""One photograph through a cluster while jobs may run, and what pages and queries do when that cluster dies."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import psutil
import pytest
from ray.cluster_utils import Cluster
from support.flow_program import Program, wait_until
from support.odd_images import encoded, photo
from support.ray_clusters import cluster_of
from support.tiny_model import save_lively_model

from jobs.domain.states import FINAL, JobState
from nclscreen.settings import Settings
from nclscreen.wiring import Wiring

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),  # Ray's own
]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A cluster of one node; it may be dead at the end."""
    with cluster_of({"num_cpus": 3}) as made:
        yield made


@pytest.fixture
def program(tmp_path: Path, cluster: Cluster) -> Iterator[Program]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("NCLSCREEN_", "AWS_"))}
    env |= {
        "NCLSCREEN_HOME": str(tmp_path / "home"),
        "NCLSCREEN_WEIGHTS": str(save_lively_model(tmp_path / "tiny.safetensors")),
        "NCLSCREEN_RAY_ADDRESS": cluster.address,
        "NCLSCREEN_REPLICA_THREADS": "1",
        "NCLSCREEN_HEATMAPS": "all",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    made = Program(env)
    yield made
    made.close()


def address_of(process: subprocess.Popen[str], said: str) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            assert said in line
            return found.group()
    raise AssertionError("it did not come up")


def test_the_verdict_is_that_of_a_job_and_everything_but_scoring_survives_the_cluster(
    program: Program, cluster: Cluster, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    files = [folder / f"{number}.png" for number in range(3)]
    for number, path in enumerate(files):
        path.write_bytes(encoded(photo(seed=number), "PNG"))
    up = program.start("up", "--port", "0")
    beside = address_of(up, "pages")
    job_id = program("submit", str(folder), "--threshold", "0").stdout.strip()
    wiring = Wiring(Settings(home=tmp_path / "home"))
    wait_until(lambda: wiring.jobs.get(job_id).state in FINAL, "the job")
    assert wiring.jobs.get(job_id).state is JobState.COMPLETED
    scores = {each.verdict.key: each.verdict.score for each in wiring.verdicts.of_job(wiring.jobs.get(job_id).id)}
    wiring.engine.dispose()
    assert len(set(scores.values())) == len(files)

    server = program.start("serve", "--port", "0")
    with httpx2.Client(base_url=address_of(server, "serving"), timeout=60) as client:
        for path in files:
            for where in (client, httpx2.Client(base_url=beside, timeout=60)):
                answer = where.post("/v1/score", content=path.read_bytes())
                assert answer.status_code == 200, answer.text
                assert answer.json()["score"] == pytest.approx(scores[path.name], abs=5e-5)  # four digits are told

        up.send_signal(signal.SIGKILL)
        cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False)
        began = time.monotonic()
        answer = client.post("/v1/score", content=files[0].read_bytes())
        took = time.monotonic() - began
        assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "5"), answer.text
        assert took < 5, answer.text
        for address in (
            "/readyz",
            "/jobs",
            f"/jobs/{job_id}",
            f"/jobs/{job_id}/gallery",
            f"/jobs/{job_id}/review",
            "/v1/verdicts?flagged=true",
            f"/v1/jobs/{job_id}/verdicts/0/overlay",
            f"/v1/verdicts/export?job={job_id}&format=coco",
        ):
            assert client.get(address).status_code == 200, address
        reviewed = client.post(f"/v1/jobs/{job_id}/verdicts/0/reviews", json={"decision": "confirmed"})
        assert reviewed.status_code in (200, 201), reviewed.text
        queued = client.post("/v1/jobs", json={"source": str(folder)}).json()["id"]
        opened = threading.Event()
        watching = threading.Thread(target=_watch, args=(client.base_url, queued, opened), daemon=True)
        watching.start()
        wait_until(opened.is_set, "the stream is open")
        # Ray ends whoever is connected to a dead head a minute later: the server never was, it has not even loaded Ray
        assert not [each.path for each in psutil.Process(server.pid).memory_maps() if "/ray/_raylet" in each.path]
        assert client.get("/healthz").status_code == 200
        server.send_signal(signal.SIGINT)
        ending = time.monotonic()
        server.communicate(timeout=30)
        assert time.monotonic() - ending < 10  # the stream would go on for ever
        watching.join(10)
        assert not watching.is_alive()


def _watch(base: httpx2.URL, job_id: str, opened: threading.Event) -> None:
    """An event stream that somebody leaves open; the server's end breaks it off."""
    with (
        suppress(httpx2.RemoteProtocolError),
        httpx2.Client(base_url=base, timeout=60) as client,
        client.stream("GET", f"/v1/jobs/{job_id}/events") as answer,
    ):
        opened.set()
        answer.read()
