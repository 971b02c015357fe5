"""Reviewing by plain forms: what a browser without scripts does."""

from __future__ import annotations

import html
import re

from starlette.testclient import TestClient
from support.screened_jobs import ScreenedJob


def form(page: str, action: str) -> dict[str, str]:
    """The hidden fields of the form that is sent there."""
    (found,) = re.findall(rf"<form[^>]*action=\"[^\"]*{action}\">(.*?)</form>", without_templates(page), re.DOTALL)
    return {
        name: html.unescape(value)
        for name, value in re.findall(r"type=\"hidden\" name=\"(\w+)\" value=\"([^\"]*)\"", found)
    }


def without_templates(page: str) -> str:
    return re.sub(r"<template.*?</template>", "", page, flags=re.DOTALL)


def looked_at(page: str) -> int:
    found = re.search(r"<h2><a href=\"/jobs/\w+/images/(\d+)\"", without_templates(page))
    assert found, page
    return int(found[1])


def test_image_after_image_is_decided(screened: ScreenedJob, client: TestClient) -> None:
    job = screened.job.id
    address = f"/jobs/{job}/review?flagged=true&review=unreviewed"
    seen = []
    for decision in ("confirmed", "rejected", "unsure"):
        page = client.get(address).text
        seen.append(looked_at(page))
        fields = form(page, f"/images/{seen[-1]}/reviews")
        typed = {"decision": decision, "note": "a <b>note</b>", "severity": "3" if decision == "confirmed" else ""}
        went = client.post(f"/jobs/{job}/images/{seen[-1]}/reviews", data=fields | typed, follow_redirects=False)
        assert went.status_code == 303
        address = went.headers["location"]
    assert seen == [0, 2, 4]
    assert address.startswith(f"/jobs/{job}/gallery")
    assert "Nothing is left here" in client.get(f"/jobs/{job}/review?flagged=true&review=unreviewed").text
    said = client.get(f"/v1/jobs/{job}/reviews").json()["data"]
    assert [(each["decision"], each["severity"]) for each in said] == [
        ("confirmed", 3),
        ("rejected", None),
        ("unsure", None),
    ]
    assert "a &lt;b&gt;note&lt;/b&gt;" in client.get(f"/jobs/{job}/images/0").text


def test_the_queue_goes_on_behind_its_end_and_shows_what_was_asked_for(
    screened: ScreenedJob, client: TestClient
) -> None:
    address = f"/jobs/{screened.job.id}/review?limit=2"
    page = client.get(address + "&at=1").text
    assert looked_at(page) == 1
    following = form(page, "/images/1/reviews")["next"]
    assert looked_at(client.get(following).text) == 2
    # one that the filters do not give any more is shown nevertheless
    assert looked_at(client.get(f"/jobs/{screened.job.id}/review?flagged=true&at=1").text) == 1
    assert client.get(f"/jobs/{screened.job.id}/review?at=99").status_code == 404


def test_who_has_not_seen_the_last_word_sees_it(screened: ScreenedJob, client: TestClient) -> None:
    image = f"/jobs/{screened.job.id}/images/0"
    seen = form(client.get(image).text, "/reviews")
    assert client.post(f"{image}/reviews", data=seen | {"decision": "confirmed"}).status_code == 200
    late = client.post(f"{image}/reviews", data=seen | {"decision": "rejected"})
    assert late.status_code == 412
    assert 'role="alert"' in late.text
    assert "confirmed" in late.text
    part = client.post(f"{image}/reviews", data=seen | {"decision": "rejected"}, headers={"HX-Request": "true"})
    assert (part.status_code, "<html" in part.text) == (412, False)
    assert 'data-review="confirmed"' in part.text


def test_a_decision_is_taken_back(screened: ScreenedJob, client: TestClient) -> None:
    image = f"/jobs/{screened.job.id}/images/0"
    client.post(f"{image}/reviews", data={"decision": "confirmed"})
    back = client.post(f"{image}/undo", data=form(client.get(image).text, "/undo"), headers={"HX-Request": "true"})
    assert (back.status_code, 'data-review=""' in back.text) == (200, True)
    assert "/undo" not in without_templates(client.get(image).text)
    assert client.post(f"{image}/undo", data={}).status_code == 409


def test_a_form_goes_on_only_within_these_pages(screened: ScreenedJob, client: TestClient) -> None:
    for following in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb"):
        answer = client.post(
            f"/jobs/{screened.job.id}/images/0/reviews",
            data={"decision": "unsure", "next": following},
            follow_redirects=False,
        )
        assert answer.headers["location"] == f"/jobs/{screened.job.id}/images/0"


def test_an_image_without_a_score_says_why(screened: ScreenedJob, client: TestClient) -> None:
    page = client.get(f"/jobs/{screened.job.id}/images/3").text
    assert "made by hand" in page
    assert "<img" not in page
    assert "No heatmap of this image was kept" in client.get(f"/jobs/{screened.job.id}/images/4").text


def test_settings_are_heeded(screened: ScreenedJob, client: TestClient) -> None:
    review = f"/jobs/{screened.job.id}/review"
    assert "careful" not in without_templates(client.get(review).text).split("<dialog")[0]
    kept = client.post(
        "/settings", data={"name": " Ann Ödön ", "careful": "true", "next": review}, follow_redirects=False
    )
    assert kept.headers["location"] == review
    for address in (review, f"/jobs/{screened.job.id}/gallery", f"/jobs/{screened.job.id}/images/0"):
        assert re.search(r"class=\"[^\"]*\bcareful\b", client.get(address).text), address
        assert not re.search(r"class=\"[^\"]*\bcareful\b", client.get(address, params={"clear": "true"}).text), address
    client.post(f"/jobs/{screened.job.id}/images/0/reviews", data={"decision": "confirmed"})
    (said,) = client.get(f"/v1/jobs/{screened.job.id}/reviews").json()["data"]
    assert said["reviewer"] == "Ann Ödön"
    client.post("/settings", data={"name": ""})
    assert "careful" not in without_templates(client.get(review).text).split("<dialog")[0]


def test_all_that_pass_are_decided_on_and_taken_back(screened: ScreenedJob, client: TestClient) -> None:
    job = screened.job.id
    gallery = client.get(f"/jobs/{job}/gallery?flagged=true&review=unreviewed").text
    link = re.search(rf"href=\"(/jobs/{job}/decide[^\"]*)\"", gallery)
    assert link
    page = client.get(html.unescape(link[1])).text
    assert "<h1>Decide on 3 images at once</h1>" in page
    fields = form(page, "/decide") | {"decision": "rejected", "note": "a <b>scan</b>"}
    client.post(f"/v1/jobs/{job}/verdicts/0/reviews", json={"decision": "unsure"})
    refused = client.post(f"/jobs/{job}/decide", data=fields)
    assert refused.status_code == 409
    assert "2 images pass this filter, not 3" in refused.text
    done = client.post(f"/jobs/{job}/decide", data=fields | {"expected_count": "2"})
    assert "<h1>2 images rejected</h1>" in done.text
    said = client.get(f"/v1/jobs/{job}/reviews").json()["data"]
    assert [(each["decision"], each["note"]) for each in said][1:] == [("rejected", "a <b>scan</b>")] * 2
    undone = client.post(f"/jobs/{job}/decide/undo", data=form(done.text, "/decide/undo"))
    assert "<h1>2 images taken back</h1>" in undone.text
    assert len(client.get(f"/v1/jobs/{job}/reviews").json()["data"]) == 1


def test_nothing_is_decided_where_nothing_passes(screened: ScreenedJob, client: TestClient) -> None:
    page = client.get(f"/jobs/{screened.job.id}/decide?prefix=<none>")
    assert "No image passes these filters" in page.text
    assert "&lt;none&gt;" in page.text
    assert client.post(f"/jobs/{screened.job.id}/decide", data={"decision": "rejected"}).status_code == 422
