"""`up`, `submit`, `watch`: the system is stopped, shot at and started again, and the job still ends whole."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import text
from support.flow_program import Program, press_ctrl_c, processes_of, wait_until
from support.odd_images import encoded, photo
from support.servers.s3_server import S3Bucket, S3Server

from jobs.sql.database import create_database_engine, reading
from jobs.storage import open_storage

pytestmark = [pytest.mark.cluster, pytest.mark.postgres, pytest.mark.s3]

IMAGES = 300


def test_a_job_survives_ctrl_c_and_kills_on_s3_and_postgresql(
    program: Program, postgres_url: str, s3_server: S3Server, s3_bucket: S3Bucket, tmp_path: Path
) -> None:
    _fill(s3_bucket)
    program.env |= s3_server.env | {
        "NCLSCREEN_DATABASE_URL": postgres_url,
        "NCLSCREEN_S3_ENDPOINT_URL": s3_server.endpoint_url,
        "NCLSCREEN_S3_ADDRESSING_STYLE": "path",
        "NCLSCREEN_HEATMAPS": "all",
        "NCLSCREEN_HEATMAPS_URI": f"{s3_bucket.container}/heatmaps/",
        "NCLSCREEN_LEASE_S": "3",
    }
    first = program.start("up")
    job_id = program("submit", f"{s3_bucket.container}/in/", "--threshold", "0").stdout.strip()

    def recorded() -> int:
        return int(program.json("job", job_id)["counts"]["scored"])

    wait_until(lambda: recorded() > 0, "the first verdicts")
    code, _, err = press_ctrl_c(first)
    assert code == 130, err
    assert "Traceback" not in err
    assert processes_of(program) == []
    stopped_at = recorded()
    assert stopped_at < IMAGES, "the job was over before it could be interrupted"

    second = program.start("up")
    wait_until(lambda: recorded() > stopped_at, "the job goes on")
    for process in processes_of(program):
        if "ray::ScreeningWorker" in " ".join(process.cmdline()):
            process.kill()
    second.kill()  # the dispatcher itself: its leases are rescued when they run out
    second.communicate()
    for process in processes_of(program):
        process.kill()  # the Ray it leaves behind, so that the machine is not two at once

    third = program.start("up")
    watched = program("watch", job_id, "--json")
    assert watched.returncode == 0, watched.stderr
    os.killpg(third.pid, signal.SIGTERM)
    _, err = third.communicate(timeout=60)
    assert third.returncode == 0, err
    assert processes_of(program) == []
    _check_whole(postgres_url, job_id)

    picture = tmp_path / "shown.png"
    shown = program("show", "--job", job_id, "in/ü 0007.jpg", "--out", str(picture))
    assert shown.returncode == 0, shown.stderr
    assert picture.stat().st_size > 0


def _fill(bucket: S3Bucket) -> None:
    storage = open_storage(bucket.container, bucket.options)
    for number in range(IMAGES):
        name = f"in/ü {number:04d}.jpg"
        storage.write(name, encoded(photo(256, 256, seed=number), "JPEG"), content_type="image/jpeg")  # type: ignore[arg-type]


def _check_whole(database_url: str, job_id: str) -> None:
    """Exactly one verdict an image, counters that agree, no shard in anybody's hands."""
    engine = create_database_engine(database_url)
    with reading(engine) as connection:
        rows, ordinals, keys = connection.execute(
            text("SELECT count(*), count(DISTINCT ordinal), count(DISTINCT key) FROM verdicts WHERE job_id = :job"),
            {"job": job_id},
        ).one()
        counted = connection.execute(
            text("SELECT total, scored, flagged, failed, state FROM jobs WHERE id = :job"), {"job": job_id}
        ).one()
        states = set(connection.execute(text("SELECT DISTINCT state FROM shards")).scalars())
    engine.dispose()
    assert (rows, ordinals, keys) == (IMAGES, IMAGES, IMAGES)
    assert tuple(counted) == (IMAGES, IMAGES, IMAGES, 0, "completed")
    assert states == {"done"}


def test_up_ends_although_its_ray_is_gone(program: Program) -> None:
    """A service manager may signal every process at once: Ray is gone before it is asked for anything."""
    running = program.start("up")
    wait_until(lambda: "ray::ServeReplica" in _running(program), "the model")
    for process in processes_of(program):
        if process.pid != running.pid:
            process.kill()
    time.sleep(1.5)  # a look at the models is under way
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=45)  # Ray by itself ends the program after 60 s, with exit code 1
    assert running.returncode in (0, 128 + signal.SIGTERM), err  # the latter where it was still starting


def _running(program: Program) -> str:
    return " ".join(" ".join(process.cmdline()) for process in processes_of(program))


def test_pages_and_api_are_there_too(program: Program) -> None:
    running = program.start("up", "--port", "0")
    assert running.stderr is not None
    said = ""
    while "http://" not in said:
        line = running.stderr.readline()
        assert line, said
        said += line
    found = re.search(r"http://127\.0\.0\.1:\d+", said)
    assert found, said
    with httpx2.Client(base_url=found.group()) as client:
        assert client.get("/readyz").status_code == 200
        assert "<html" in client.get("/jobs").text
        with client.stream("GET", "/v1/jobs"):
            code, _, err = press_ctrl_c(running)
    assert (code, "Traceback" in err) == (130, False), err


def test_up_is_told_to_end_while_its_ray_starts(program: Program) -> None:
    """SIGTERM to the whole group, as `timeout` sends it, once the first of Ray's processes is there.

    Were that ended by it, too, Ray would wait for it in C, with the interpreter locked, for half a minute or a whole
    one, and then end the program with 1.
    """
    up = program.start("up")
    wait_until(lambda: any("gcs_server" in process.name() for process in processes_of(program)), "Ray starts")
    os.killpg(up.pid, signal.SIGTERM)
    _, err = up.communicate(timeout=150)
    assert up.returncode == 0, err
    assert "Traceback" not in err
    assert "GCS" not in err, "it was waited for"
    assert processes_of(program) == []


def test_up_is_told_to_end_while_its_cluster_says_nothing(program: Program) -> None:
    """Somebody listens and never answers: Ray asks again and again, in C, for a quarter of an hour."""
    with socket.create_server(("0.0.0.0", 0)) as silent:
        up = program.start("up", NCLSCREEN_RAY_ADDRESS=f"127.0.0.1:{silent.getsockname()[1]}")
        silent.settimeout(60)
        silent.accept()[0].close()  # whether somebody listens
        with silent.accept()[0]:  # Ray
            code, _, err = press_ctrl_c(up)
    assert (code, "Traceback" in err) == (130, False), err
