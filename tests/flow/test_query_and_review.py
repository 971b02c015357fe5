"""What a desk does: a corpus becomes a job, people look and decide, take the result along, and screen again."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pyarrow.parquet as pq
import pytest
from support.flow_program import Program
from support.odd_images import encoded, photo
from support.servers.s3_server import S3Bucket, S3Server
from support.tiny_model import save_tiny_model

from jobs.domain import ImageKey
from jobs.storage import open_storage
from nclscreen.client import Client

IMAGES, REVIEWED = 14, 10


@contextmanager
def up(program: Program, **env: str) -> Iterator[str]:
    """The address of a whole system, while it runs."""
    running = program.start("up", "--port", "0", **env)
    try:
        yield _address(running)
    finally:
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=60)


def _address(running: subprocess.Popen[str]) -> str:
    assert running.stderr is not None
    for line in running.stderr:
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            return found.group()
    raise AssertionError("it did not come up")


def desk(program: Program, source: str, tmp_path: Path) -> None:
    """From a corpus to a second opinion."""
    with up(program) as address, Client(address) as client:
        job = client.wait(client.submit(source, threshold=0.0, name="claims").id, every_s=0.2)
        assert (job.state, job.counts["flagged"]) == ("completed", IMAGES), job
        with httpx2.Client(base_url=address) as browser:
            for path, said in (
                ("", "claims"),
                ("/gallery", "photo 03"),
                ("/review", "photo"),
                ("/images/3", "photo 03"),
            ):
                page = browser.get(f"/jobs/{job.id}{path}")
                assert (page.status_code, said in page.text) == (200, True), path
            overlay = browser.get(f"/jobs/{job.id}/images/3").text
            assert f"/v1/jobs/{job.id}/verdicts/3/overlay" in overlay
            assert browser.get(f"/v1/jobs/{job.id}/verdicts/3/overlay").content.startswith(b"\xff\xd8")
        found = list(client.verdicts(job=job.id, flagged=True))
        for number, verdict in enumerate(found[:REVIEWED]):
            client.review(verdict.ref, "confirmed" if number % 2 else "rejected", note=f"look {number}")
        assert client.count(job=job.id, review="unreviewed") == IMAGES - REVIEWED
        client.export(tmp_path / "all.parquet", kind="parquet", job=job.id)
        rows = pq.read_table(tmp_path / "all.parquet").to_pylist()
        assert len(rows) == IMAGES
        assert [row["review"] for row in rows].count("confirmed") == REVIEWED // 2
        old = {row["key"]: row["score"] for row in rows}

    other = {"NCLSCREEN_WEIGHTS": str(save_tiny_model(tmp_path / "other.safetensors", seed=5))}
    with up(program, **other) as address, Client(address) as client:
        done = program("rescreen", job.id, "--images", "reviewed", **other)
        assert done.returncode == 0, done.stderr
        again = client.wait(done.stdout.strip(), every_s=0.2)
        assert (again.state, again.counts["total"]) == ("completed", REVIEWED), again
        second = {each.key: each for each in client.verdicts(job=again.id)}
        assert set(second) == {verdict.key for verdict in found[:REVIEWED]}
        fingerprints = {each.document["model_fingerprint"] for each in second.values()}
        assert fingerprints == {again.document["model"]["fingerprint"]} != {job.document["model"]["fingerprint"]}
        assert any(abs((second[key].score or 0) - old[key]) > 1e-6 for key in second)
        # the first job is as it was, and so is what people said of it
        assert client.job(job.id).counts == job.counts
        assert client.count(job=job.id, review="rejected") == REVIEWED // 2


@pytest.fixture
def photographs() -> dict[str, bytes]:
    return {f"claim 1/photo {number:02d}.png": encoded(photo(seed=number), "PNG") for number in range(IMAGES)}


@pytest.mark.cluster
def test_a_folder_and_what_is_embedded(program: Program, photographs: dict[str, bytes], tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    for name, data in photographs.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    desk(program, str(folder), tmp_path)


@pytest.mark.cluster
@pytest.mark.postgres
@pytest.mark.s3
def test_a_bucket_and_postgresql(
    program: Program,
    photographs: dict[str, bytes],
    postgres_url: str,
    s3_server: S3Server,
    s3_bucket: S3Bucket,
    tmp_path: Path,
) -> None:
    storage = open_storage(s3_bucket.container, s3_bucket.options)
    for name, data in photographs.items():
        storage.write(ImageKey(f"in/{name}"), data, content_type="image/png")
    program.env |= s3_server.env | {
        "NCLSCREEN_DATABASE_URL": postgres_url,
        "NCLSCREEN_S3_ENDPOINT_URL": s3_server.endpoint_url,
        "NCLSCREEN_S3_ADDRESSING_STYLE": "path",
        "NCLSCREEN_HEATMAPS_URI": f"{s3_bucket.container}/heatmaps/",
    }
    desk(program, f"{s3_bucket.container}/in/", tmp_path)
