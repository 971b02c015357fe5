"""Second looks over HTTP and by forms: who decides second is not told what was decided first."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.testclient import TestClient
from support.screened_jobs import ScreenedJob

from jobs.domain.access import ProjectName, Scope
from nclscreen.wiring import Wiring


@contextmanager
def another(client: TestClient, name: str) -> Iterator[TestClient]:
    with TestClient(client.app, base_url="http://127.0.0.1:8080", raise_server_exceptions=False) as found:
        found.post("/settings", data={"name": name, "next": "/jobs"}, follow_redirects=False)
        yield found


def panel(page: str) -> str:
    found = re.search(r"<section class=\"panel\".*?</section>", page, re.DOTALL)
    return found[0] if found else ""


def fields(page: str) -> dict[str, str]:
    (form,) = re.findall(r"<form class=\"decide\".*?</form>", panel(page), re.DOTALL)
    hidden = re.findall(r"type=\"hidden\" name=\"(\w+)\" value=\"([^\"]*)\"", form)
    return {name: html.unescape(value) for name, value in hidden}


def test_a_second_person_decides_blindly_and_a_third_word_settles(screened: ScreenedJob, client: TestClient) -> None:
    job = screened.job.id
    address = f"/v1/jobs/{job}/second-looks"
    assert client.get(address).json()["share"] == 0
    assert client.put(address, json={"share": 1}).json()["share"] == 1
    queue = f"/jobs/{job}/review?second_look=wanted"
    with another(client, "ann") as ann, another(client, "bob") as bob:
        note = {"decision": "confirmed", "note": "NOTEOFANN", "expected": "0"}
        for ordinal in (0, 2):
            assert ann.post(f"/jobs/{job}/images/{ordinal}/reviews", data=note).status_code == 200
        assert "Nothing is left here" in ann.get(queue).text, "his own are not his to look at again"
        page = bob.get(queue).text
        assert "A second look" in panel(page)
        assert "NOTEOFANN" not in page
        assert "confirmed" not in page.replace('value="confirmed"', "").split("<dialog")[0]
        gallery = bob.get(f"/jobs/{job}/gallery?second_look=wanted").text
        assert "decision-confirmed" not in gallery
        assert "decision-none" in gallery
        typed = fields(page)
        assert (typed["expected"], typed["blind"]) == ("1", "true")
        part = bob.post(
            f"/jobs/{job}/images/0/reviews", data=typed | {"decision": "rejected"}, headers={"HX-Request": "true"}
        )
        assert (part.status_code, "NOTEOFANN" in part.text) == (200, False)
        assert 'data-review="rejected"' in part.text
        undone = bob.post(f"/jobs/{job}/images/0/undo", data={"blind": "true"}, headers={"HX-Request": "true"})
        assert ('data-review=""' in undone.text, "NOTEOFANN" in undone.text) == (True, False)
        again = typed | {"decision": "rejected", "expected": "3"}
        assert bob.post(f"/jobs/{job}/images/0/reviews", data=again).status_code == 200
        bob.post(f"/jobs/{job}/images/2/reviews", data={"decision": "confirmed", "blind": "true"})
        found = client.get(address).json()
        assert {state: found[state] for state in ("wanted", "agreed", "conflict", "settled")} == {
            "wanted": 0, "agreed": 1, "conflict": 1, "settled": 0,
        }  # fmt: skip
        assert (found["images"], found["same"], found["kappa"]) == (2, 1, 0)
        assert {"first": "confirmed", "second": "rejected", "images": 1} in found["pairs"]
        shown = client.get(f"/jobs/{job}").text
        assert "Cohen" in shown
        assert "Settle conflicts" in shown
        conflict = ann.get(f"/jobs/{job}/review?second_look=conflict").text
        assert "NOTEOFANN" in panel(conflict)
        assert ann.post(f"/jobs/{job}/images/0/reviews", data=fields(conflict) | {"decision": "unsure"}).is_success
    found = client.get(address).json()
    assert (found["conflict"], found["settled"]) == (0, 1)
    assert client.get("/v1/verdicts", params={"job": job, "second_look": "settled"}).json()["data"][0]["ordinal"] == 0


def test_programs_are_not_told_either(screened: ScreenedJob, client: TestClient) -> None:
    job = screened.job.id
    client.put(f"/v1/jobs/{job}/second-looks", json={"share": 1})
    place = f"/v1/jobs/{job}/verdicts/0/reviews"
    client.post(place, json={"decision": "confirmed", "reviewer": "ann"})
    asked = {"filter": {"second_look": "wanted"}, "count": 5}
    leases = f"/v1/jobs/{job}/review-leases"
    assert client.post(leases, json=asked | {"reviewer": "ann"}).json()["data"] == []
    (given,) = client.post(leases, json=asked | {"reviewer": "bob"}).json()["data"]
    (listed,) = client.get("/v1/verdicts", params={"job": job, "second_look": "wanted"}).json()["data"]
    assert (given["ordinal"], given["review"], listed["review"]) == (0, None, None)
    refused = client.post(place, json={"decision": "rejected", "reviewer": "ann", "blind": True})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:nclscreen:problem:no-second-look")
    written = client.post(place, json={"decision": "rejected", "reviewer": "bob", "blind": True}).json()
    assert written["blind"] is True


def test_who_may_say_how_many(screened: ScreenedJob, client: TestClient, wiring: Wiring) -> None:
    address = f"/v1/jobs/{screened.job.id}/second-looks"
    for share in (-0.1, 1.1, "x"):
        assert client.put(address, json={"share": share}).status_code == 422
    form = client.post(f"/jobs/{screened.job.id}/second-looks", data={"percent": "20"}, follow_redirects=False)
    assert form.headers["location"] == f"/jobs/{screened.job.id}#second-looks"
    wiring.projects.create("lab")
    keys = {
        name: wiring.keys.create(ProjectName(project), name, [scope])[1].text
        for name, project, scope in (("reader", "default", Scope.READ), ("other", "lab", Scope.ADMIN))
    }
    header = {name: {"Authorization": f"Bearer {text}"} for name, text in keys.items()}
    assert client.get(address, headers=header["reader"]).json()["share"] == 0.2
    assert client.put(address, headers=header["reader"], json={"share": 1}).status_code == 403
    assert client.get(address, headers=header["other"]).status_code == 404
    assert client.put(address, headers=header["other"], json={"share": 1}).status_code == 404
    assert (
        client.post(f"/jobs/{screened.job.id}/second-looks", headers=header["other"], data={"percent": "1"}).status_code
        == 404
    )
