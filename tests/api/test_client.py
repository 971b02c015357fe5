"""The client against the application on a real socket; and that it brings nothing of the system along."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.drawings import box_mask, png_of, two_strokes, values_of
from support.page_server import Site, site_with
from support.screened_jobs import Shot, photo_bytes

from jobs.domain.access import DEFAULT_PROJECT, Scope
from jobs.errors import ErrorCode
from nclscreen.client import ApiError, ApiUnreachable, Client

IMAGES = 1203


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    data = photo_bytes()
    shots = [Shot(key=f"{i:04d} ä.jpg", score=i / IMAGES, data=data, keep_heatmap=i > 1190) for i in range(IMAGES)]
    shots.append(Shot(key="broken.jpg", code=ErrorCode.CORRUPT))
    with site_with(tmp_path_factory.mktemp("client"), shots) as found:
        yield found


@pytest.fixture
def client(site: Site) -> Iterator[Client]:
    with Client(site.url) as found:
        yield found


def test_verdicts_come_page_by_page(site: Site, client: Client) -> None:
    job = client.job(site.job.job.id)
    assert (job.state, job.is_over, job.counts["total"]) == ("completed", True, IMAGES + 1)
    everything = list(client.verdicts(job=job.id))
    assert len(everything) == IMAGES + 1
    flagged = list(client.verdicts(job=job.id, flagged=True, min_score=0.9))
    assert [each.score for each in flagged] == sorted((each.score or 0 for each in flagged), reverse=True)
    assert flagged[0].key == f"{IMAGES - 1:04d} ä.jpg"
    assert [each.error_code for each in client.verdicts(job=job.id, failed=True)] == ["corrupt"]
    assert [each.id for each in client.jobs(state="completed")] == [job.id]


def test_reviews_pictures_and_exports(site: Site, client: Client, tmp_path: Path) -> None:
    (worst,) = client.verdicts(job=site.job.job.id, flagged=True, min_score=0.999)
    written = client.review(worst.ref, "confirmed", note="two suns", severity=4)
    assert (written.number, written.decision, written.note) == (1, "confirmed", "two suns")
    assert client.verdict(worst.ref).review == "confirmed"
    assert client.undo_review(worst.ref).decision is None
    assert [each.number for each in client.reviews(worst.ref)] == [1, 2]
    assert client.picture(worst.ref, "overlay", side=64).startswith(b"\xff\xd8")
    assert client.picture(worst.ref, "heatmap").startswith(b"\x89PNG")
    out = tmp_path / "verdicts.parquet"
    size = client.export(out, kind="parquet", job=site.job.job.id)
    assert size == out.stat().st_size
    assert pq.read_table(out).num_rows == IMAGES + 1


def test_drawings_go_there_and_come_back(site: Site, client: Client) -> None:
    ref = f"{site.job.job.id}/700"
    labels = box_mask(96, 64)
    written = client.review(ref, "confirmed", mask=png_of(labels))
    assert written.drawing is not None
    assert written.drawing["kind"] == "mask"
    assert (values_of(client.drawing(ref)) == labels).all()
    assert client.review(ref, "confirmed", scribbles=png_of(two_strokes(96, 64))).document["drawing"]["kind"] == (
        "scribbles"
    )
    with pytest.raises(ValueError, match="not both"):
        client.review(ref, "confirmed", mask=b"", scribbles=b"")
    with pytest.raises(ApiError) as refused:
        client.review(ref, "rejected", mask=png_of(labels))
    assert (refused.value.status, refused.value.field) == (422, "drawing")
    assert client.undo_review(ref).drawing == written.drawing
    assert client.undo_review(ref).drawing is None
    with pytest.raises(ApiError) as none:
        client.drawing(ref)
    assert none.value.kind == "no-drawing"


def test_people_share_a_queue_and_audit_a_job(site: Site, client: Client) -> None:
    job_id = site.job.job.id
    given = {who: client.lease(job_id, 2, reviewer=who, flagged=True) for who in ("ann", "bob")}
    assert len({each.ref for some in given.values() for each in some}) == 4
    client.review(given["ann"][0].ref, "confirmed", reviewer="ann")
    assert client.release(job_id, reviewer="ann") == 1
    assert client.release(job_id, reviewer="bob") == 2
    assert client.review(given["ann"][0].ref, "rejected", reviewer="bob", blind=True).document["blind"]
    drawn = client.draw_audit(job_id, size=10)
    assert len(list(client.verdicts(job=job_id, audit=drawn["audit"]))) == 10
    assert client.audit(job_id)["seed"] == 0


def test_counting_masks_and_another_threshold(site: Site, client: Client, tmp_path: Path) -> None:
    job_id = site.job.job.id
    flagged = client.count(job=job_id, flagged=True)
    assert flagged == len(list(client.verdicts(job=job_id, flagged=True)))
    assert client.count(job=job_id) == IMAGES + 1
    client.export(tmp_path / "regions.json", kind="coco", job=job_id, min_score=0.999, flagged=True)
    assert len(json.loads((tmp_path / "regions.json").read_bytes())["images"]) == 1
    asked = client.reflag(job_id, threshold=0.25)
    assert asked.id == job_id
    assert site.wiring.reflagging(None).step(threading.Event())
    assert client.count(job=job_id, flagged=True) == client.count(job=job_id, min_score=0.25) > flagged
    with pytest.raises(ApiError) as away:
        client.score(photo_bytes())  # no cluster here
    assert (away.value.status, away.value.kind) == (503, "model-away")


def test_a_job_is_submitted_once_and_told_what_to_do(client: Client, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(photo_bytes())
    made = client.submit(str(tmp_path), token="monday", threshold=0.8, tags=["weekly"])
    assert client.submit(str(tmp_path), token="monday", threshold=0.8, tags=["weekly"]).id == made.id
    assert client.tell(made.id, "cancel").state in ("cancelling", "cancelled")
    heard: list[str] = []
    assert client.wait(made.id, every_s=0.01, told=lambda job: heard.append(job.state)).is_over


def test_refusals_say_why(client: Client, tmp_path: Path) -> None:
    with pytest.raises(ApiError) as refused:
        client.job("0000000000000000")
    assert (refused.value.status, refused.value.kind) == (404, "job-not-found")
    with pytest.raises(ApiError) as wrong:
        client.submit(str(tmp_path), threshold=2)
    assert (wrong.value.status, wrong.value.kind) == (422, "invalid-request")
    with pytest.raises(ApiError):
        list(client.verdicts(colour="red", flagged=True))
    with pytest.raises(ValueError, match="JOB/NUMBER"):
        client.verdict("17")
    with pytest.raises(ApiError):
        client.export(tmp_path / "x.csv", kind="csv", job="nobody")
    assert list(tmp_path.iterdir()) == [], "no half of a file"


def test_nobody_answers(tmp_path: Path) -> None:
    with Client("http://127.0.0.1:1", timeout_s=0.5) as client:
        client._pool.connection_pool_kw["retries"] = False
        with pytest.raises(ApiUnreachable, match="does not answer"):
            client.job("x")


def test_a_key_is_shown(site: Site) -> None:
    key, text = site.wiring.keys.create(DEFAULT_PROJECT, "ann", [Scope.READ])
    try:
        with Client(site.url, text.text) as client:
            assert client.job(site.job.job.id).is_over
            with pytest.raises(ApiError) as refused:
                client.review(f"{site.job.job.id}/0", "unsure")
            assert refused.value.kind == "scope-missing"
        with Client(site.url) as nobody, pytest.raises(ApiError) as unknown:
            nobody.job(site.job.job.id)
        assert unknown.value.kind == "key-needed"
    finally:
        site.wiring.keys.revoke(key.id)


def test_it_brings_nothing_of_the_system_along() -> None:
    names = ("jobs", "torch", "ray", "numpy", "sqlalchemy", "fastapi")
    program = f"import sys, nclscreen.client; print([name for name in {names} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout.strip() == "[]"
