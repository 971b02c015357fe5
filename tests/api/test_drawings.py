"""Drawings over HTTP: sent with a review, given back, refused with a reason, and nobody else's."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient
from support.drawings import box_mask, png_of, two_strokes, values_of
from support.screened_jobs import ScreenedJob

from jobs.domain.access import ProjectName, Scope
from nclscreen.wiring import Wiring


def place(job: ScreenedJob, ordinal: int = 0) -> str:
    return f"/v1/jobs/{job.job.id}/verdicts/{ordinal}"


def said(png: bytes, kind: str = "mask", decision: str = "confirmed") -> dict[str, Any]:
    return {"decision": decision, "drawing": {"kind": kind, "png": base64.b64encode(png).decode()}}


def test_a_mask_is_sent_and_found(screened: ScreenedJob, client: TestClient) -> None:
    labels = box_mask(96, 64)
    written = client.post(f"{place(screened)}/reviews", json=said(png_of(labels)))
    assert written.status_code == 201, written.text
    found = client.get(f"{place(screened)}/drawing")
    assert found.headers["content-type"] == "image/png"
    assert (values_of(found.content) == labels).all()
    sha256 = hashlib.sha256(found.content).hexdigest()
    assert written.json()["drawing"] == {"kind": "mask", "sha256": sha256}
    (listed,) = client.get(f"/v1/jobs/{screened.job.id}/reviews").json()["data"]
    assert listed["drawing"]["sha256"] == sha256


def test_by_its_hash_it_may_be_kept_for_good(screened: ScreenedJob, client: TestClient) -> None:
    where = place(screened)
    written = client.post(f"{where}/reviews", json=said(png_of(two_strokes(48, 32)), "scribbles")).json()
    sha256 = written["drawing"]["sha256"]
    latest, named = client.get(f"{where}/drawing"), client.get(f"{where}/drawing", params={"sha256": sha256})
    assert latest.headers["cache-control"] == "private, no-cache"
    assert named.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert latest.headers["etag"] == named.headers["etag"] == f'"{sha256}"'
    again = client.get(f"{where}/drawing", headers={"If-None-Match": latest.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    client.post(f"{where}/reviews/undo", json={})
    gone = client.get(f"{where}/drawing")
    assert (gone.status_code, gone.json()["type"]) == (404, "urn:nclscreen:problem:no-drawing")
    assert client.get(f"{where}/drawing", params={"sha256": sha256}).status_code == 200
    assert client.get(f"{place(screened, 1)}/drawing", params={"sha256": sha256}).status_code == 404


def test_in_colour_it_can_be_laid_over_the_photograph(screened: ScreenedJob, client: TestClient) -> None:
    client.post(f"{place(screened)}/reviews", json=said(png_of(box_mask(96, 64))))
    found = client.get(f"{place(screened)}/drawing", params={"coloured": True})
    with Image.open(io.BytesIO(found.content)) as picture:
        assert (picture.mode, picture.size) == ("RGBA", (96, 64))
        assert (np.asarray(picture)[..., 3] > 0).mean() == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (said(png_of(box_mask(96, 64)), decision="rejected"), "goes with confirmed alone"),
        (said(png_of(box_mask(96, 64)), decision="unsure"), "goes with confirmed alone"),
        (said(png_of(box_mask(64, 96))), "shape of the photograph, 96 x 64"),
        (said(png_of(two_strokes(96, 64))), "pixels of a mask"),
        (said(b"GIF89a"), "no PNG file"),
        (said(b"\x89PNG" + bytes(1_000_000)), "1,000,000 are the most"),
        ({"decision": "confirmed", "drawing": {"kind": "mask", "png": "no base64!"}}, "not in base64"),
        ({"decision": "confirmed", "drawing": {"kind": "mask", "png": "ä"}}, "not in base64"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_words(
    screened: ScreenedJob, client: TestClient, body: dict[str, Any], words: str
) -> None:
    refused = client.post(f"{place(screened)}/reviews", json=body)
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:nclscreen:problem:invalid-request")
    assert words in refused.json()["detail"]
    assert refused.json()["field"] == "drawing"
    assert client.get(f"{place(screened)}/reviews").json()["data"] == []


def test_nothing_is_drawn_on_what_has_no_size(screened: ScreenedJob, client: TestClient) -> None:
    refused = client.post(f"{place(screened, 3)}/reviews", json=said(png_of(box_mask(96, 64))))
    assert (refused.status_code, refused.json()["field"]) == (422, "drawing")


def test_a_body_has_room_for_the_largest_drawing_and_no_more(screened: ScreenedJob, client: TestClient) -> None:
    noise = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (1360, 2040))
    large = png_of(noise)
    assert 300_000 < len(large) < 1_000_000
    assert client.post(f"{place(screened)}/reviews", json=said(large)).status_code == 201
    too_large = said(bytes(3_000_000))
    assert client.post(f"{place(screened)}/reviews", json=too_large).status_code == 413


def test_drawings_of_other_projects_are_not_there(screened: ScreenedJob, client: TestClient, wiring: Wiring) -> None:
    written = client.post(f"{place(screened)}/reviews", json=said(png_of(box_mask(96, 64)))).json()
    wiring.projects.create("other")
    _, key = wiring.keys.create(ProjectName("other"), "eve", [Scope.ADMIN])
    header = {"Authorization": f"Bearer {key.text}"}
    for asked in ({}, {"sha256": written["drawing"]["sha256"]}):
        assert client.get(f"{place(screened)}/drawing", params=asked, headers=header).status_code == 404


def test_exports_have_the_reviewers_mask(screened: ScreenedJob, client: TestClient) -> None:
    client.post(f"{place(screened)}/reviews", json=said(png_of(box_mask(48, 32))))
    client.post(f"{place(screened, 2)}/reviews", json=said(png_of(two_strokes(48, 32)), "scribbles"))
    exported = client.get("/v1/verdicts/export", params={"job": screened.job.id, "format": "coco"}).json()
    assert [each["mask_of"] for each in exported["images"]] == ["reviewer", "model", "model", None]
    (region,) = [each for each in exported["annotations"] if each["image_id"] == 1]
    assert region["bbox"] == [0, 0, 48, 32]
    client.post(f"{place(screened)}/reviews", json={"decision": "rejected"})
    again = client.get("/v1/verdicts/export", params={"job": screened.job.id, "format": "coco"}).json()
    assert again["images"][0]["mask_of"] == "model"


def test_who_decides_blindly_is_shown_no_drawing(screened: ScreenedJob, client: TestClient, wiring: Wiring) -> None:
    wiring.second_looks.set_share(screened.job.id, 1.0)
    body = said(png_of(box_mask(96, 64))) | {"reviewer": "ann"}
    client.post(f"{place(screened)}/reviews", json=body)
    page = client.get(f"/jobs/{screened.job.id}/review", params={"at": 0, "flagged": True}).text
    assert "a mask by ann" in page
    blind = client.get(f"/jobs/{screened.job.id}/review", params={"second_look": "wanted"}).text
    assert "a.jpg" in blind
    for word in ("/drawing?", "a mask by", "with a mask"):
        assert word not in blind, word
    looked = {"decision": "confirmed", "blind": True, "reviewer": "bob"}
    assert client.post(f"{place(screened)}/reviews", json=looked).json()["drawing"] is None
    assert client.get(f"{place(screened)}/drawing").status_code == 200, "he agreed: it still holds"


def test_who_may_look_alone_has_no_brush(screened: ScreenedJob, client: TestClient, wiring: Wiring) -> None:
    client.post(f"{place(screened)}/reviews", json=said(png_of(box_mask(96, 64))))
    page = f"/jobs/{screened.job.id}/review"
    assert 'id="brush-tools"' in client.get(page).text
    _, key = wiring.keys.create(ProjectName("default"), "reader", [Scope.READ])
    header = {"Authorization": f"Bearer {key.text}"}
    text = client.get(page, params={"at": 0}, headers=header).text
    assert "a mask by" in text
    assert 'id="brush' not in text
    assert client.post(f"{place(screened)}/reviews", json={"decision": "unsure"}, headers=header).status_code == 403
