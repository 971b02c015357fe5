"""Reviews over HTTP."""

from __future__ import annotations

from starlette.testclient import TestClient
from support.screened_jobs import ScreenedJob


def place(job: ScreenedJob, ordinal: int = 0) -> str:
    return f"/v1/jobs/{job.job.id}/verdicts/{ordinal}/reviews"


def test_a_review_is_written_and_found(screened: ScreenedJob, client: TestClient) -> None:
    where = place(screened)
    assert client.get(where).headers["etag"] == '"0"'
    written = client.post(where, json={"decision": "confirmed", "reviewer": "ann", "severity": 3})
    assert written.status_code == 201, written.text
    assert written.headers["etag"] == '"1"'
    assert written.json()["key"] == "a.jpg"
    found = client.get(where)
    assert found.json()["data"] == [written.json()]
    assert found.headers["etag"] == '"1"'
    undone = client.post(f"{where}/undo", json={"reviewer": "bob"})
    assert (undone.status_code, undone.json()["decision"], undone.json()["undoes"]) == (201, None, 1)
    refused = client.post(f"{where}/undo", json={})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:nclscreen:problem:nothing-to-undo")


def test_who_has_not_seen_the_last_word_is_told(screened: ScreenedJob, client: TestClient) -> None:
    where = place(screened)
    seen = {"If-Match": client.get(where).headers["etag"]}
    assert client.post(where, json={"decision": "confirmed"}, headers=seen).status_code == 201
    late = client.post(where, json={"decision": "rejected"}, headers=seen)
    assert (late.status_code, late.json()["type"]) == (412, "urn:nclscreen:problem:reviewed-meanwhile")
    assert client.post(f"{where}/undo", json={}, headers=seen).status_code == 412
    for header in ("x", '"x"', 'W/"1"', "-1"):
        assert client.post(where, json={"decision": "unsure"}, headers={"If-Match": header}).status_code == 422
    assert client.post(where, json={"decision": "unsure"}, headers={"If-Match": "*"}).status_code == 201
    assert [each["decision"] for each in client.get(where).json()["data"]] == ["confirmed", "unsure"]


def test_what_makes_no_sense_is_refused(screened: ScreenedJob, client: TestClient) -> None:
    where = place(screened)
    for body in (
        {},
        {"decision": "tampered"},
        {"decision": "confirmed", "severity": 6},
        {"decision": "confirmed", "note": ""},
        {"decision": "confirmed", "note": "\x00"},
        {"decision": "confirmed", "reviewer": " "},
        {"decision": "confirmed", "colour": "red"},
    ):
        assert client.post(where, json=body).status_code == 422, body
    assert client.post(place(screened, 99), json={"decision": "unsure"}).status_code == 404
    assert client.get(where).json()["data"] == []
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    assert client.post(where, json={"decision": "unsure"}, headers=elsewhere).status_code == 403


def test_a_job_s_reviews_in_pages_and_counted(screened: ScreenedJob, client: TestClient) -> None:
    for ordinal, decision in {0: "confirmed", 2: "rejected", 3: "unsure"}.items():
        client.post(place(screened, ordinal), json={"decision": decision})
    address = f"/v1/jobs/{screened.job.id}/reviews"
    first = client.get(address, params={"limit": 2}).json()
    second = client.get(address, params={"limit": 2, "cursor": first["next"]}).json()
    assert [each["ref"].split("/")[1] for each in first["data"] + second["data"]] == ["0", "2", "3"]
    assert (first["has_more"], second["has_more"]) == (True, False)
    summary = client.get(f"{address}/summary").json()
    assert summary == {
        "job": screened.job.id,
        "flagged": 3,
        "reviewed": 3,
        "confirmed": 1,
        "rejected": 1,
        "unsure": 1,
    }
    assert client.get("/v1/jobs/0000000000000000/reviews").status_code == 404
    left = client.get("/v1/verdicts", params={"flagged": True, "review": "unreviewed"}).json()
    assert [each["key"] for each in left["data"]] == ["d.jpg"]


def test_all_that_pass_a_filter_are_counted_decided_on_and_taken_back(
    screened: ScreenedJob, client: TestClient
) -> None:
    address = "/v1/verdicts/reviews"
    client.post(place(screened, 0), json={"decision": "rejected", "reviewer": "ann"})
    asked = {"filter": {"job": screened.job.id, "flagged": True, "review": "unreviewed"}, "decision": "confirmed"}
    summary = f"/v1/jobs/{screened.job.id}/reviews/summary"
    assert client.post(address, json=asked).json() == {"count": 2}
    wrong = client.post(address, json=asked | {"expected_count": 3})
    assert (wrong.status_code, wrong.json()["type"]) == (409, "urn:nclscreen:problem:count-changed")
    assert client.get(summary).json()["reviewed"] == 1
    done = client.post(address, json=asked | {"expected_count": 2}).json()
    assert (done["written"], done["passed_over"]) == (2, 0)
    said = client.get(f"/v1/jobs/{screened.job.id}/reviews").json()["data"]
    bulks = [(each["decision"], each["bulk"]) for each in said]
    assert bulks == [("rejected", None), ("confirmed", done["bulk"]), ("confirmed", done["bulk"])]
    client.post(place(screened, 2), json={"decision": "unsure"})  # a later word stands
    undone = client.post(f"{address}/{done['bulk']}/undo", json={}).json()
    assert (undone["written"], undone["passed_over"]) == (1, 1)
    counted = client.get(summary).json()
    assert (counted["confirmed"], counted["rejected"], counted["unsure"]) == (0, 1, 1)
    again = client.post(f"{address}/{done['bulk']}/undo", json={})
    assert (again.status_code, again.json()["type"]) == (409, "urn:nclscreen:problem:nothing-to-undo")
    assert client.post(address, json=asked | {"filter": {"colour": "red"}}).status_code == 422
