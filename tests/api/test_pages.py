"""The pages as they leave the server: complete without scripts, and safe whatever names from outside say."""

from __future__ import annotations

import hashlib
import re
import threading
from importlib.resources import files
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient
from support.builders import FINGERPRINT, entry, ready_job, scored
from support.preparing import prepare_one
from support.screened_jobs import ScreenedJob, Shot, screened_job

from jobs.domain import NewJob
from jobs.domain.access import DEFAULT_PROJECT, Scope
from jobs.domain.states import JobState
from jobs.errors import ErrorCode
from jobs.shards.work_queue import WorkQueue
from nclscreen.pages.adding import ROUTERS
from nclscreen.pages.assets import asset
from nclscreen.wiring import Wiring

HOSTILE = (
    "<script>alert(1)</script>.jpg",
    "../../etc/passwd.jpg",
    "two\nlines.jpg",
    "gnp.\u202egpj.exe",
    "=cmd|' /C calc'!A0.jpg",
    "{{ 7 * 7 }}.jpg",
    "a\"'><img src=x onerror=alert(2)>.jpg",
    "javascript:alert(3)",
)
#: htmx 2.0.11, dist/htmx.min.js of the npm package htmx.org
HTMX_SHA256 = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"


def pages_of(job_id: str) -> list[str]:
    job = f"/jobs/{job_id}"
    return [
        "/jobs",
        "/models",
        "/keys",
        "/jobs/new",
        job,
        f"{job}/gallery",
        f"{job}/cases",
        f"{job}/review",
        f"{job}/images/0",
        "/settings",
        "/sign-in",
    ]


def test_htmx_is_the_published_one() -> None:
    content = files("nclscreen.pages").joinpath("static", "htmx.min.js").read_bytes()
    assert hashlib.sha256(content).hexdigest() == HTMX_SHA256
    assert b'version:"2.0.11"' in content


def test_every_page_is_there_and_forbids_what_is_not_ours(screened: ScreenedJob, client: TestClient) -> None:
    for address in pages_of(screened.job.id):
        answer = client.get(address)
        assert answer.status_code == 200, address
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<[^>]+\s(style|on\w+)=", answer.text), f"{address} has inline style or script"
        for source in re.findall(r"(?:src|href|action|hx-get)=\"([^\"]*)\"", answer.text):
            assert re.match(r"[#?]|/(?!/)", source), (address, source)
        assert "<main" in answer.text
        assert answer.text.count("<h1") == 1, address


def test_the_documentation_has_every_page() -> None:
    text = (Path(__file__).parents[2] / "docs" / "pages.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(/[^`]*)` \|", text, re.MULTILINE))
    parts = {"/", "/jobs/{id}/progress", "/jobs/{id}/replay", "/jobs/{id}/changes"}
    shown = {
        route.path.replace("{job_id}", "{id}")
        for router, _ in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and "GET" in route.methods
    }
    assert shown - parts == listed


def test_style_and_scripts_may_be_kept_and_change_their_address_with_what_is_in_them(client: TestClient) -> None:
    answer = client.get(asset("pages.css"))
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
    assert hashlib.sha256(answer.content).hexdigest()[:12] in asset("pages.css")
    assert "linear-gradient" in client.get(asset("look.css")).text
    assert client.get("/static/../adding.py").status_code == 404
    assert client.get("/static/adding.py").status_code == 404


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScreenedJob:
    # slashes make folders of keys: a folder cannot hold the one with dots, a bucket can
    shots = [Shot(key=key.replace("/", "_"), score=0.9 - i / 100) for i, key in enumerate(HOSTILE)]
    shots += [Shot(key=key, code=ErrorCode.CORRUPT, message=key) for key in HOSTILE]
    found = screened_job(tmp_path / "hostile", shots, source=HOSTILE[0])
    monkeypatch.setenv("NCLSCREEN_DATABASE_URL", found.store._engine.url.render_as_string(hide_password=False))
    found.close()
    return found


def test_names_from_outside_are_shown_and_do_nothing(hostile: ScreenedJob, client: TestClient) -> None:
    job = f"/jobs/{hostile.job.id}"
    said = [f"{job}/gallery", f"{job}/review", "/jobs", job, *(f"{job}/images/{n}" for n in range(2 * len(HOSTILE)))]
    for address in said:
        text = client.get(address).text
        assert "<script>alert" not in text, address
        assert "<img src=x" not in text, address
        assert "\u202e" not in text, address
        assert 'href="javascript' not in text, address
    gallery = client.get(f"{job}/gallery").text
    assert 'two<span class="hidden-char">\\n</span>lines.jpg' in gallery
    assert "{{ 7 * 7 }}.jpg" in gallery
    # keys stand in no address
    assert not [each for each in re.findall(r"(?:href|src)=\"([^\"]*)\"", gallery) if "passwd" in each]


def test_a_gallery_shows_what_was_asked_for(screened: ScreenedJob, client: TestClient) -> None:
    address = f"/jobs/{screened.job.id}/gallery"

    def shown(**asked: str) -> list[int]:
        answer = client.get(address, params=asked)
        assert answer.status_code == 200, answer.text
        return [int(each) for each in re.findall(rf"href=\"/jobs/{screened.job.id}/images/(\d+)\"", answer.text)]

    assert shown() == [0, 1, 2, 3, 4]
    assert shown(flagged="true", min_score="", prefix="", review="", error_code="") == [0, 2, 4]
    assert shown(flagged="false") == [1, 3]
    assert shown(min_score="0.5", max_score="0.8") == [2, 4]
    assert shown(prefix="b") == [1, 3]
    assert shown(error_code="corrupt") == [3]
    client.post(f"/jobs/{screened.job.id}/images/0/reviews", data={"decision": "confirmed"})
    assert shown(review="unreviewed", flagged="true") == [2, 4]
    assert shown(review="confirmed") == [0]
    assert client.get(address, params={"min_score": "2"}).status_code == 422
    assert client.get(address, params={"colour": "red"}).status_code == 422
    assert client.get("/jobs/0000000000000000/gallery").status_code == 404


def test_a_gallery_goes_on_behind_its_cursor(screened: ScreenedJob, client: TestClient) -> None:
    address, seen = f"/jobs/{screened.job.id}/gallery?limit=2", []
    while address:
        text = client.get(address).text
        seen += re.findall(r"/images/(\d+)\"", text)
        assert text.count('<li class="shot') <= 2
        more = re.search(r"rel=\"next\" href=\"([^\"]*)\"", text)
        address = more[1].replace("&amp;", "&") if more else ""
    assert seen == ["0", "1", "2", "3", "4"]


def test_another_threshold_is_counted_without_scripts(screened: ScreenedJob, client: TestClient) -> None:
    page = client.get(f"/jobs/{screened.job.id}", params={"threshold": "0.8", "min_area": "", "cutoff": "0.5"}).text
    assert re.search(r"Would flag <strong>1</strong> of 4", page)
    assert "2 fewer" in page
    part = client.get(f"/jobs/{screened.job.id}/replay", params={"threshold": "0.1"}).text
    assert re.search(r"Would flag <strong>4</strong> of 4", part)
    assert "<html" not in part
    assert client.get(f"/jobs/{screened.job.id}", params={"cutoff": "0.33"}).status_code == 422


def test_another_threshold_becomes_the_jobs(screened: ScreenedJob, client: TestClient, wiring: Wiring) -> None:
    path = f"/jobs/{screened.job.id}"
    assert "Flag from here on" not in client.get(path).text
    page = client.get(path, params={"threshold": "0.8"}).text
    assert re.search(r'<button form="reflag" name="threshold" value="0\.8">', page)
    assert client.get(f"{path}/replay", params={"threshold": "0.8"}).text.count('form="reflag"') == 1
    assert "Flag from here on" not in client.get(path, params={"threshold": "0.8", "min_area": "0.1"}).text
    assert client.post(f"{path}/threshold", data={"threshold": "0.8"}, follow_redirects=False).status_code == 303
    assert "Reflagging: from 0.800 on instead of 0.500" in client.get(path).text
    part = client.get(f"{path}/progress", params={"reflagging": True})
    assert ("hx-get" in part.text, "HX-Refresh" in part.headers) == (True, False)
    assert wiring.reflagging(None).step(threading.Event())
    part = client.get(f"{path}/progress", params={"reflagging": True})
    assert ("hx-get" in part.text, part.headers.get("HX-Refresh")) == (False, "true")
    assert "flagged from 0.800 on" in client.get(path).text


def test_a_second_opinion_is_set_against_the_first(screened: ScreenedJob, client: TestClient, wiring: Wiring) -> None:
    made = client.post(f"/jobs/{screened.job.id}/rescreen", follow_redirects=False).headers["location"]
    assert "Against job" not in client.get(made).text, "nothing is known yet"
    wiring.jobs.cancel(made.rpartition("/")[2])
    page = client.get(made).text
    assert f'Against job <a href="/jobs/{screened.job.id}">' in page
    part = client.get(f"{made}/changes").text
    assert f"/gallery?against={screened.job.id}&amp;change=flagged&amp;flagged=true" in part
    assert "Of 0 images with a score in both" in part
    gallery = client.get(f"{made}/gallery", params={"against": screened.job.id, "change": "cleared"})
    assert (gallery.status_code, "No image passes" in gallery.text) == (200, True)


def test_cases_have_a_page(wiring: Wiring, client: TestClient) -> None:
    images = [entry(f"{name}/1.jpg", case=name) for name in ("quiet", "<b>loud</b>")]
    job_id = ready_job(wiring.engine, images, shard_size=2)
    (lease,) = WorkQueue(wiring.engine, "tests").claim(1, 60, fingerprints=[FINGERPRINT], job_id=job_id)
    WorkQueue(wiring.engine, "tests").finish(lease, [scored(0, images[0], 0.3), scored(1, images[1], 0.9)])
    path = f"/jobs/{job_id}/cases"
    assert f'href="{path}"' in client.get(f"/jobs/{job_id}").text
    page = client.get(path).text
    assert page.index("&lt;b&gt;loud&lt;/b&gt;") < page.index("quiet"), "the most suspect first"
    assert f"/jobs/{job_id}/gallery?case=%3Cb%3Eloud%3C%2Fb%3E&amp;flagged=true" in page
    assert f"/jobs/{job_id}/review?case=%3Cb%3Eloud%3C%2Fb%3E&amp;flagged=true&amp;review=unreviewed" in page
    by_name = client.get(path, params={"sort": "name", "limit": "1"}).text
    assert "loud" in by_name
    assert "quiet" not in by_name
    behind = re.search(r'href="([^"]+)" rel="next"', by_name)
    assert behind
    assert "quiet" in client.get(behind[1].replace("&amp;", "&")).text
    assert "No case passes" in client.get(path, params={"flagged": "true", "unreviewed": "false"}).text
    assert client.get(path, params={"flagged": ""}).status_code == 200  # as a form sends it


def test_a_job_without_cases_says_where_they_come_from(screened: ScreenedJob, client: TestClient) -> None:
    assert "/cases" not in client.get(f"/jobs/{screened.job.id}").text
    assert "--case-from" in client.get(f"/jobs/{screened.job.id}/cases").text


def test_errors_are_pages(screened: ScreenedJob, client: TestClient) -> None:
    answer = client.get("/jobs/0000000000000000")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert 'role="alert"' in answer.text
    assert client.get("/jobs", params={"cursor": "x"}).status_code == 422
    late = client.post(f"/jobs/{screened.job.id}/pause")
    assert (late.status_code, "text/html" in late.headers["content-type"]) == (409, True)


def test_a_job_is_submitted_by_a_form_and_asks_before_it_starts(
    client: TestClient, wiring: Wiring, tmp_path: Path
) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"x" * 100)
    typed = {"source": str(folder), "tags": "one, two words", "threshold": "0.5", "confirm": "true", "token": "t1"}
    wrong = client.post("/jobs", data=typed | {"max_size": "many", "name": "<b>"})
    assert wrong.status_code == 422
    assert "is no size" in wrong.text
    assert 'value="&lt;b&gt;"' in wrong.text
    assert client.post("/jobs", data=typed | {"threshold": "high"}).status_code == 422
    assert client.post("/jobs", data=typed | {"source": "ftp://nowhere"}).status_code == 422
    assert client.post("/jobs", data={}).status_code == 422
    made = client.post("/jobs", data=typed, follow_redirects=False)
    assert made.status_code == 303
    job_id = made.headers["location"].rsplit("/", 1)[-1]
    again = client.post("/jobs", data=typed)
    assert (again.status_code, job_id in again.text) == (201, True)
    assert wiring.jobs.get(job_id).options.tags == ("one", "two words")
    prepare_one(wiring.jobs, wiring.preparer)
    page = client.get(f"/jobs/{job_id}").text
    assert "1 image" in page
    assert "waiting for your word" in page
    assert f'action="/jobs/{job_id}/confirm"' in page
    client.post(f"/jobs/{job_id}/confirm")
    assert wiring.jobs.get(job_id).state is JobState.READY


def test_buttons_steer_a_job_and_the_page_shows_those_that_make_sense(
    client: TestClient, wiring: Wiring, tmp_path: Path
) -> None:
    job_id = wiring.jobs.submit(NewJob(source=str(tmp_path), model=wiring.model.ref, threshold=0.5))
    address = f"/jobs/{job_id}"

    def buttons() -> set[str]:
        return set(re.findall(rf"action=\"{address}/(\w+)\"", client.get(address).text)) - {"priority", "threshold"}

    assert buttons() == {"pause", "cancel"}
    for verb, state, following in (
        ("pause", JobState.PAUSED, {"resume", "cancel"}),
        ("resume", JobState.PREPARING, {"pause", "cancel"}),
        ("cancel", JobState.CANCELLED, {"delete"}),
    ):
        if verb == "cancel":
            assert client.post(f"{address}/priority", data={"priority": "7"}, follow_redirects=False).status_code == 303
            assert wiring.jobs.get(job_id).options.priority == 7
        answer = client.post(f"{address}/{verb}", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, address)
        assert (wiring.jobs.get(job_id).state, buttons()) == (state, following)
    progress = client.get(f"{address}/progress", params={"state": "preparing"})
    assert progress.headers["hx-refresh"] == "true"
    assert "hx-trigger" not in progress.text
    client.post(f"{address}/delete")
    assert wiring.jobs.get(job_id).state is JobState.DELETING


def test_failed_images_are_tried_again(screened: ScreenedJob, client: TestClient) -> None:
    answer = client.post(f"/jobs/{screened.job.id}/retry", follow_redirects=False)
    assert answer.status_code == 303
    assert screened.job.id in client.get(answer.headers["location"]).text


def test_pages_of_others_press_no_button(screened: ScreenedJob, client: TestClient) -> None:
    for path in (f"/jobs/{screened.job.id}/delete", f"/jobs/{screened.job.id}/images/0/reviews", "/jobs", "/settings"):
        assert client.post(path, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert screened.store.get(screened.job.id).state is JobState.COMPLETED


def test_jobs_are_filtered_and_paged(screened: ScreenedJob, client: TestClient, wiring: Wiring) -> None:
    assert screened.job.id in client.get("/jobs", params={"state": "completed", "name": "", "tag": ""}).text
    assert screened.job.id not in client.get("/jobs", params={"state": "failed"}).text
    wiring.jobs.submit(NewJob(source="/nowhere", model=wiring.model.ref, threshold=0.5))
    first = client.get("/jobs", params={"limit": 1}).text
    assert screened.job.id not in first
    older = re.search(r"href=\"(/jobs\?[^\"]*cursor=[^\"]*)\" rel=\"next\"", first)
    assert older
    assert screened.job.id in client.get(older[1].replace("&amp;", "&")).text


def test_a_browser_signs_in_once_there_is_a_key(screened: ScreenedJob, client: TestClient, wiring: Wiring) -> None:
    _, key = wiring.keys.create(DEFAULT_PROJECT, "ann", [Scope.READ])
    sent = client.get("/jobs?state=completed", follow_redirects=False)
    assert (sent.status_code, sent.headers["location"]) == (303, "/sign-in?next=%2Fjobs%3Fstate%3Dcompleted")
    assert client.post("/sign-in", data={"key": "ncl_wrong", "next": "/jobs"}).status_code == 401
    elsewhere = client.post("/sign-in", data={"key": key.text, "next": "//evil.example"}, follow_redirects=False)
    assert elsewhere.headers["location"] == "/jobs"
    (cookie,) = [each for each in elsewhere.headers.get_list("set-cookie") if each.startswith("__Host-")]
    shown = {"Cookie": cookie.split(";")[0]}
    page = client.get(f"/jobs/{screened.job.id}", headers=shown)
    assert page.status_code == 200
    assert "Sign out" in page.text
    assert "ann" in page.text
    assert "/cancel" not in page.text
    assert "/retry" not in page.text
    assert client.post(f"/jobs/{screened.job.id}/retry", headers=shown).status_code == 403
    client.post("/sign-out", headers=shown)
    assert client.get("/jobs", headers=shown, follow_redirects=False).status_code == 303
