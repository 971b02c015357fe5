"""Two people review one job: neither is given what the other looks at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.testclient import TestClient
from support.screened_jobs import ScreenedJob

from jobs.domain.access import ProjectName, Scope
from jobs.reviews import ReviewLeases
from jobs.testing import MovableClock
from nclscreen.wiring import Wiring

QUEUE = "/review?flagged=true&review=unreviewed"


@pytest.fixture
def clock(wiring: Wiring) -> MovableClock:
    clock = MovableClock()
    wiring.review_leases = ReviewLeases(wiring.engine, 300, clock)
    return clock


@contextmanager
def another(client: TestClient, name: str) -> Iterator[TestClient]:
    with TestClient(client.app, base_url="http://127.0.0.1:8080", raise_server_exceptions=False) as found:
        found.post("/settings", data={"name": name, "next": "/jobs"}, follow_redirects=False)
        yield found


def looked_at(page: str) -> int | None:
    found = re.search(r"<section class=\"panel\".*?/images/(\d+)", page, re.DOTALL)
    return int(found[1]) if found else None


def until(page: str) -> str:
    found = re.search(r"data-until=\"([\d.]+)\"", page)
    assert found, page
    return found[1]


def test_the_queue_of_another_passes_over_what_somebody_looks_at(
    screened: ScreenedJob, client: TestClient, clock: MovableClock
) -> None:
    job = f"/jobs/{screened.job.id}"
    with another(client, "ann") as ann, another(client, "bob") as bob:
        assert looked_at(ann.get(job + QUEUE).text) == 0
        ann.post(f"{job}/review/leases", data={"ordinals": "0,2"})
        assert looked_at(bob.get(job + QUEUE).text) == 4
        # what a script fetches for later is not sat down at
        assert looked_at(bob.get(job + QUEUE, headers={"HX-Request": "true"}).text) == 4
        assert looked_at(ann.get(job + QUEUE).text) == 0
        direct = bob.get(f"{job}/images/0").text
        assert "ann is looking at this image" in direct
        assert "is looking" not in ann.get(f"{job}/images/0").text
        assert "ann is looking at this image" in bob.get(f"{job}{QUEUE}&at=0").text
        answer = bob.post(f"{job}/review/leases", data={"ordinals": "2,4"}).json()
        assert answer["others"] == {"2": "ann"}
        # a decision frees its image, and whoever knows the address may decide
        ann.post(f"{job}/images/0/reviews", data={"decision": "confirmed"})
        bob.post(f"{job}/images/2/reviews", data={"decision": "rejected"})
        shown = ann.get(job + QUEUE).text
        assert "Nothing is left here" in shown
        assert "Others look at 1 image of this job" in shown
        assert bob.post(f"{job}/review/leave").status_code == 204
        assert looked_at(ann.get(job + QUEUE).text) == 4


def test_a_page_that_is_left_late_takes_nothing_from_the_next(
    screened: ScreenedJob, client: TestClient, clock: MovableClock
) -> None:
    """Loaded again, a page may be heard of before the one it follows says good-bye."""
    job = f"/jobs/{screened.job.id}"
    with another(client, "ann") as ann, another(client, "bob") as bob:
        before = until(ann.get(job + QUEUE).text)
        clock.advance(1)
        shown = ann.get(job + QUEUE).text
        assert ann.post(f"{job}/review/leave", data={"until": before}).status_code == 204
        assert looked_at(bob.get(job + QUEUE).text) != 0, "it is ann's"
        assert ann.post(f"{job}/review/leave", data={"until": until(shown)}).status_code == 204
        assert looked_at(bob.get(job + QUEUE).text) == 0
        renewed = bob.post(f"{job}/review/leases", data={"ordinals": "0"}).json()["until"]
        assert bob.post(f"{job}/review/leave", data={"until": str(renewed)}).status_code == 204
        assert looked_at(ann.get(job + QUEUE).text) == 0
        for wrong in ("soon", "nan", "inf", "-1"):
            assert ann.post(f"{job}/review/leave", data={"until": wrong}).status_code == 422


def test_who_is_silent_blocks_nobody_for_ever(screened: ScreenedJob, client: TestClient, clock: MovableClock) -> None:
    job = f"/jobs/{screened.job.id}"
    with another(client, "ann") as ann, another(client, "bob") as bob:
        assert looked_at(ann.get(job + QUEUE).text) == 0
        assert looked_at(bob.get(job + QUEUE).text) is None
        clock.advance(299)
        ann.post(f"{job}/review/leases", data={"ordinals": "0"})
        clock.advance(2)
        assert looked_at(bob.get(job + QUEUE).text) == 2
        clock.advance(301)
        assert looked_at(bob.get(job + QUEUE).text) == 0


def test_who_only_looks_takes_nothing(screened: ScreenedJob, client: TestClient, wiring: Wiring) -> None:
    wiring.projects.create("lab")
    keys = {
        name: wiring.keys.create(ProjectName(project), name, scopes)[1].text
        for name, project, scopes in (
            ("reader", "default", [Scope.READ]),
            ("ann", "default", [Scope.READ, Scope.REVIEW]),
            ("bob", "default", [Scope.READ, Scope.REVIEW]),
            ("other", "lab", [Scope.ADMIN]),
        )
    }

    def ask(who: str, method: str, path: str, **sent: Any) -> Any:
        return client.request(method, path, headers={"Authorization": f"Bearer {keys[who]}"}, **sent)

    job = screened.job.id
    assert looked_at(ask("reader", "GET", f"/jobs/{job}{QUEUE}").text) == 0
    address = f"/v1/jobs/{job}/review-leases"
    assert ask("reader", "GET", address).json() == {"data": []}
    assert ask("reader", "POST", address, json={}).status_code == 403
    assert ask("reader", "POST", f"/jobs/{job}/review/leases", data={"ordinals": "0"}).status_code == 403
    for method, path in (("GET", address), ("POST", address), ("DELETE", address)):
        assert ask("other", method, path, json={} if method == "POST" else None).status_code == 404
    assert ask("other", "POST", f"/jobs/{job}/review/leases", data={"ordinals": "0"}).status_code == 404
    assert ask("other", "POST", f"/jobs/{job}/review/leave").status_code == 404

    asked = {"filter": {"flagged": True, "review": "unreviewed"}, "count": 2}
    given = {who: ask(who, "POST", address, json=asked).json()["data"] for who in ("ann", "bob")}
    assert [each["ordinal"] for each in given["ann"]] == [0, 2]
    assert [each["ordinal"] for each in given["bob"]] == [4]
    assert [each["ordinal"] for each in ask("ann", "POST", address, json=asked).json()["data"]] == [0, 2]
    held = [(each["ordinal"], each["reviewer"]) for each in ask("reader", "GET", address).json()["data"]]
    assert held == [(0, "ann"), (2, "ann"), (4, "bob")]
    decided = ask("ann", "POST", f"/v1/jobs/{job}/verdicts/0/reviews", json={"decision": "unsure"})
    assert decided.status_code == 201
    assert ask("ann", "DELETE", address).json() == {"released": 1}
    assert [each["ordinal"] for each in ask("bob", "POST", address, json=asked).json()["data"]] == [2, 4]
    assert ask("bob", "DELETE", address, params={"reviewer": "ann"}).status_code == 403
    logged = {entry.action for entry in wiring.audit_log.page().items if entry.status < 400}
    assert logged == {"create_review"}


def test_a_program_works_through_what_nobody_has_reviewed(screened: ScreenedJob, client: TestClient) -> None:
    address, seen = f"/v1/jobs/{screened.job.id}/review-leases", []
    while given := client.post(address, json={}).json()["data"]:
        seen.append(given[0]["ordinal"])
        client.post(f"/v1/jobs/{screened.job.id}/verdicts/{seen[-1]}/reviews", json={"decision": "unsure"})
    assert seen == [0, 1, 2, 3, 4]


def test_what_makes_no_sense_is_refused(screened: ScreenedJob, client: TestClient) -> None:
    for ordinals in ("", "x", "1,", "-1", ",".join(map(str, range(30))), "1" * 30):
        sent = client.post(f"/jobs/{screened.job.id}/review/leases", data={"ordinals": ordinals})
        assert sent.status_code == 422, ordinals
    address = f"/v1/jobs/{screened.job.id}/review-leases"
    for body in ({"count": 0}, {"count": 51}, {"filter": {"colour": "red"}}, {"reviewer": ""}, {"more": 1}):
        assert client.post(address, json=body).status_code == 422, body
