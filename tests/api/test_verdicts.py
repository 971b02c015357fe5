"""Verdicts and their pictures over HTTP."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image
from starlette.testclient import TestClient
from support.screened_jobs import ScreenedJob


def keys(client: TestClient, **parameters: Any) -> list[str]:
    answer = client.get("/v1/verdicts", params=parameters)
    assert answer.status_code == 200, answer.text
    return [each["key"] for each in answer.json()["data"]]


def test_flagged_ones_come_highest_score_first_and_others_in_the_order_of_the_manifest(
    screened: ScreenedJob, client: TestClient
) -> None:
    job = screened.job.id
    assert keys(client, flagged=True) == ["a.jpg", "<script>.jpg", "d.jpg"]
    assert keys(client, job=job) == ["a.jpg", "b.jpg", "<script>.jpg", "broken.jpg", "d.jpg"]
    assert keys(client, job=job, failed=True) == ["broken.jpg"]
    assert keys(client, job=job, error_code="corrupt") == ["broken.jpg"]
    assert keys(client, job=job, min_score=0.5, max_score=0.8) == ["<script>.jpg", "d.jpg"]
    assert keys(client, flagged=True, prefix="a", container=screened.folder.as_uri() + "/") == ["a.jpg"]


def test_pages_have_every_verdict_once(screened: ScreenedJob, client: TestClient) -> None:
    seen, cursor = [], None
    while True:
        parameters = {"job": screened.job.id, "limit": 2} | ({} if cursor is None else {"cursor": cursor})
        page = client.get("/v1/verdicts", params=parameters).json()
        seen += [each["ordinal"] for each in page["data"]]
        cursor = page["next"]
        if not page["has_more"]:
            break
    assert seen == [0, 1, 2, 3, 4]
    other = client.get("/v1/verdicts", params={"flagged": True, "cursor": "x"})
    assert other.json()["type"] == "urn:nclscreen:problem:invalid-cursor"


@pytest.mark.parametrize(
    ("parameters", "kind"),
    [({}, "invalid-filter"), ({"flagged": True, "min_scor": 1}, "invalid-request"), ({"job": "no"}, "job-not-found")],
)
def test_lists_that_nobody_can_mean_are_refused(
    screened: ScreenedJob, client: TestClient, parameters: dict[str, Any], kind: str
) -> None:
    assert client.get("/v1/verdicts", params=parameters).json()["type"] == f"urn:nclscreen:problem:{kind}"


def test_one_verdict_by_its_place(screened: ScreenedJob, client: TestClient) -> None:
    address = f"/v1/jobs/{screened.job.id}/verdicts"
    found = client.get(f"{address}/2").json()
    assert (found["ref"], found["key"], found["score"]) == (f"{screened.job.id}/2", "<script>.jpg", 0.7)
    assert client.get(f"{address}/5").json()["type"] == "urn:nclscreen:problem:verdict-not-found"
    assert client.get(f"{address}/-1").status_code == 422
    assert client.get(f"{address}/{2**70}").status_code == 422


@pytest.mark.parametrize(
    ("kind", "media", "size"),
    [
        ("photograph", "image/jpeg", (96, 64)),
        ("overlay", "image/jpeg", (96, 64)),
        ("thumbnail", "image/jpeg", (96, 64)),
        ("heatmap", "image/png", (48, 32)),
    ],
)
def test_pictures_are_kept_by_browsers_for_good(
    screened: ScreenedJob, client: TestClient, kind: str, media: str, size: tuple[int, int]
) -> None:
    address = f"/v1/jobs/{screened.job.id}/verdicts/0/{kind}"
    answer = client.get(address)
    assert (answer.status_code, answer.headers["content-type"]) == (200, media)
    assert Image.open(io.BytesIO(answer.content)).size == size
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    again = client.get(address, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_photograph_that_has_changed_is_shown_and_not_kept(screened: ScreenedJob, client: TestClient) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (200, 100), "red").save(buffer, "JPEG")
    (screened.folder / "a.jpg").write_bytes(buffer.getvalue())
    answer = client.get(f"/v1/jobs/{screened.job.id}/verdicts/0/photograph", params={"side": 64})
    assert Image.open(io.BytesIO(answer.content)).size == (64, 32)
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("place", "kind", "problem"),
    [
        (3, "overlay", "object-not-found"),
        (3, "heatmap", "no-picture"),
        (4, "heatmap", "no-heatmap"),
        (0, "portrait", "invalid-request"),
    ],
)
def test_pictures_that_are_not_there_say_why(
    screened: ScreenedJob, client: TestClient, place: int, kind: str, problem: str
) -> None:
    answer = client.get(f"/v1/jobs/{screened.job.id}/verdicts/{place}/{kind}")
    assert answer.json()["type"] == f"urn:nclscreen:problem:{problem}", answer.text


def test_an_export_is_the_list_as_one_file(screened: ScreenedJob, client: TestClient) -> None:
    job = screened.job.id
    answer = client.get("/v1/verdicts/export", params={"job": job, "format": "jsonl"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == 'attachment; filename="verdicts.jsonl"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert [json.loads(line)["key"] for line in answer.text.splitlines()] == keys(client, job=job)
    table = client.get("/v1/verdicts/export", params={"flagged": True, "format": "parquet", "min_score": 0.6})
    assert pq.read_table(io.BytesIO(table.content)).column("key").to_pylist() == ["a.jpg", "<script>.jpg"]
    regions = client.get("/v1/verdicts/export", params={"job": job, "format": "coco", "cutoff": 0.2})
    assert regions.headers["Content-Disposition"] == 'attachment; filename="verdicts.json"'
    heatmaps = {image["file_name"]: image["heatmap"] for image in regions.json()["images"]}
    assert heatmaps == {"a.jpg": True, "b.jpg": True, "<script>.jpg": True, "d.jpg": False}  # broken.jpg has no score
    masks = client.get("/v1/verdicts/export", params={"job": job, "format": "masks"})
    with tarfile.open(fileobj=io.BytesIO(masks.content)) as archive:
        assert archive.getnames() == [*(f"masks/{job}/00000000{n}.png" for n in range(3)), "index.csv"]
    assert client.get("/v1/verdicts/export", params={"job": job, "format": "coco", "cutoff": 2}).status_code == 422
    assert client.get("/v1/verdicts/export", params={"job": job}).status_code == 422
    assert client.get("/v1/verdicts/export", params={"job": job, "format": "csv", "limit": 2}).status_code == 422
    assert client.get("/v1/verdicts/export", params={"job": "0" * 16, "format": "csv"}).status_code == 404
    assert client.get("/v1/verdicts/export", params={"flagged": False, "format": "csv"}).status_code == 422


def test_how_many_pass_is_told_when_it_is_asked(screened: ScreenedJob, client: TestClient) -> None:
    asked = {"job": screened.job.id, "flagged": True, "limit": 1}
    assert client.get("/v1/verdicts", params=asked).json()["count"] is None
    counted = client.get("/v1/verdicts", params=asked | {"count": "exact"}).json()
    assert (counted["count"], len(counted["data"])) == (3, 1)
    behind = client.get("/v1/verdicts", params=asked | {"count": "exact", "cursor": counted["next"]}).json()
    assert behind["count"] == 3  # of all pages
    assert client.get("/v1/verdicts", params=asked | {"count": "about"}).status_code == 422


def test_a_region_has_the_photograph_s_own_pixels(screened: ScreenedJob, client: TestClient) -> None:
    address = f"/v1/jobs/{screened.job.id}/verdicts/0/region"
    with Image.open(screened.folder / "a.jpg") as file:
        whole = file.convert("RGB")
    box = {"x": 7, "y": 11, "width": 40, "height": 30}
    answer = client.get(address, params=box)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png"), answer.text
    with Image.open(io.BytesIO(answer.content)) as part:
        assert part.tobytes() == whole.crop((7, 11, 47, 41)).tobytes()
    assert client.get(address, params=box, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    edge = client.get(address, params={"x": whole.width - 5, "y": 0})
    with Image.open(io.BytesIO(edge.content)) as part:
        assert part.size == (5, min(512, whole.height))
    outside = client.get(address, params={"x": whole.width, "y": 0})
    assert (outside.status_code, f"{whole.width} x {whole.height}" in outside.json()["detail"]) == (422, True)
    assert client.get(address, params=box | {"width": 5000}).status_code == 422
    assert client.get(address).status_code == 422
