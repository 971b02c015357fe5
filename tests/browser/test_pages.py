"""The pages in a real browser: live, by mouse, for every reader, and nothing that the policy refuses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect
from support.browsing import lightness, watching
from support.builders import results_of
from support.page_server import Site, site_with
from support.preparing import prepare_one
from support.screened_jobs import Shot, photo_bytes

from jobs.domain import Decision, NewReview, VerdictRef
from jobs.errors import ErrorCode
from jobs.shards.work_queue import WorkQueue
from jobs.verdicts import VerdictFilter
from nclscreen.services.reflagging import ReflagRequest, reflag_job

pytestmark = pytest.mark.browser

IMAGES = 70
EVIL = ("a\"'><img src=x onerror=alert(1)>.jpg", "b<script>alert(2)<_script>.jpg", "c\n\u202egpj.exe")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    root = tmp_path_factory.mktemp("pages")
    shots = [Shot(key=name, score=0.99, data=photo_bytes(240, 160, seed=3), case=name) for name in EVIL]
    shots += [Shot(key=f"{i:03d}.jpg", score=0.9 - i / 100, data=photo_bytes(240, 160, seed=i)) for i in range(IMAGES)]
    shots.append(Shot(key="broken.jpg", code=ErrorCode.CORRUPT))
    with site_with(root, shots) as found:
        reviewed_twice(found)
        yield found


def reviewed_twice(site: Site) -> None:
    """A sample that is half reviewed, second looks in every state, and somebody else at an image."""
    wiring, job = site.wiring, site.job.job
    wiring.audits.draw(job, size=20, seed=0, drawn_by=EVIL[0])
    wiring.second_looks.set_share(job.id, 1.0)
    words = [Decision.CONFIRMED, Decision.REJECTED, Decision.CONFIRMED]
    for ordinal, turns in ((60, 1), (61, 2), (62, 3)):
        found = wiring.verdicts.at(VerdictRef(job_id=job.id, ordinal=ordinal))
        for turn in range(turns):
            name = f"{turn} {EVIL[1]}"
            wiring.reviews.add(found, NewReview(decision=words[turn], reviewer=name, blind=turn == 1))
    for found in wiring.verdicts.stream(VerdictFilter(job_id=job.id, audit=1, flagged=True)):
        wiring.reviews.add(found, NewReview(decision=Decision.CONFIRMED, reviewer="ann"))
    wiring.review_leases.take(job.id, [0, 1], "desk of another", EVIL[0])


ALL = (
    "/jobs",
    "/models",
    "/keys",
    "/jobs/new",
    "",
    "/gallery",
    "/cases",
    "/decide",
    "/review",
    "/review?at=0",
    "/review?second_look=wanted",
    "/review?second_look=settled&review=unreviewed",
    "/images/0",
    "/settings",
    "/sign-in",
)


def address(site: Site, path: str) -> str:
    return (
        site.page(path)
        if path == "" or path.startswith(("/gallery", "/cases", "/decide", "/review", "/images/0"))
        else f"{site.url}{path}"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ALL)
def test_everybody_can_read_and_use_them(browser: Browser, site: Site, path: str, scheme: str) -> None:
    with watching(browser, address(site, path), color_scheme=scheme) as page:
        found = Axe().run(page)
        said = [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found.response["violations"]]
        assert said == []
        colours = "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
        ink, paper = page.evaluate(colours)
        assert (lightness(ink) > lightness(paper)) == (scheme == "dark")


@pytest.mark.parametrize("width", [360, 768, 1600])
@pytest.mark.parametrize("path", ALL)
def test_nothing_sticks_out_at_any_width(browser: Browser, site: Site, path: str, width: int) -> None:
    with watching(browser, address(site, path), viewport={"width": width, "height": 800}) as page:
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_threshold_is_dragged_on_the_histogram(browser: Browser, site: Site) -> None:
    with watching(browser, site.page()) as page:
        would = page.locator("#replayed strong")
        expect(would).to_have_text("44")
        slider = page.locator("#slider").bounding_box()
        assert slider
        middle = slider["y"] + slider["height"] / 2
        page.mouse.move(slider["x"] + slider["width"] / 2, middle)
        page.mouse.down()
        page.mouse.move(slider["x"] + slider["width"] * 0.75, middle, steps=4)
        page.mouse.up()
        tried = float(page.locator("#threshold").input_value())
        assert 0.7 < tried < 0.8
        expected = sum(
            1 for found in site.wiring.verdicts.of_job(site.job.job.id) if (found.verdict.score or 0) >= tried
        )
        expect(would).to_have_text(str(expected))
        assert page.locator("rect.bar-flagged").count() < page.locator("rect.bar").count()
        page.locator("#slider").press("Home")
        expect(would).to_have_text("73")
        page.locator("#threshold").fill("2")
        expect(would).to_have_text("73")  # no threshold: nothing is asked


def test_the_threshold_that_was_tried_becomes_the_jobs(browser: Browser, site: Site) -> None:
    job_id = site.job.job.id
    try:
        with watching(browser, site.page()) as page:
            page.locator("#threshold").fill("0.7")
            page.get_by_text("Flag from here on").click()
            page.get_by_role("button", name="Flag from 0.700 on").click()
            expect(page.get_by_text("Reflagging: from 0.700 on instead of 0.500")).to_be_visible()
            assert site.wiring.reflagging(None).step(threading.Event())
            expect(page.get_by_text("flagged from 0.700 on")).to_be_visible()  # by itself
            expect(page.get_by_text("Reflagging:")).to_have_count(0)
    finally:
        reflag_job(site.wiring, ReflagRequest(job_id=job_id, threshold=0.5))


def test_the_gallery_loads_what_is_looked_at(browser: Browser, site: Site) -> None:
    with watching(browser, f"{site.url}/jobs") as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(site.page("/gallery"))
        shots = page.locator(".shot")
        expect(shots).to_have_count(60)
        page.wait_for_load_state("networkidle")
        assert 0 < len([url for url in asked if url.endswith("/thumbnail")]) < 60
        assert not [url for url in asked if "/overlay" in url]
        page.locator(".frame").nth(1).hover()
        expect(page.locator(".shot").nth(1).locator(".overlay")).to_be_visible()
        page.get_by_role("link", name="Load more").click()
        expect(shots).to_have_count(IMAGES + len(EVIL) + 1)
        expect(page.get_by_role("link", name="Load more")).to_have_count(0)
        assert page.url == site.page("/gallery")
        assert page.locator(".file .name").all_text_contents()[2] == "c\\n\\u202egpj.exe"


def test_filters_stand_in_the_address(browser: Browser, site: Site) -> None:
    with watching(browser, site.page("/gallery?flagged=true")) as page:
        page.get_by_label("Key begins with").fill("00")
        page.get_by_role("button", name="Filter").click()
        expect(page.locator(".shot")).to_have_count(10)
        assert "flagged=true" in page.url
        page.reload()
        expect(page.get_by_label("Key begins with")).to_have_value("00")
        page.get_by_role("link", name="Clear").click()
        expect(page.locator(".shot")).to_have_count(60)


def test_a_job_is_submitted_and_watched_until_it_is_over(browser: Browser, site: Site, tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"{number}.jpg").write_bytes(photo_bytes(seed=number))
    with watching(browser, f"{site.url}/jobs/new") as page:
        page.get_by_label("Photographs").fill(str(tmp_path))
        page.get_by_label("Name", exact=True).fill("by hand <b>")
        page.get_by_label("Score", exact=True).fill("0.5")
        page.get_by_role("button", name="Submit").click()
        job_id = page.url.rsplit("/", 1)[-1]
        expect(page.locator("h1")).to_contain_text("by hand <b> preparing")
        prepare_one(site.wiring.jobs, site.wiring.preparer)
        expect(page.locator("h1")).to_contain_text("awaiting confirmation")  # by itself
        expect(page.locator("#progress")).to_contain_text("6 images")
        page.get_by_role("button", name="Start screening").click()
        expect(page.locator("h1")).to_contain_text("ready")
        queue = WorkQueue(site.wiring.engine, "tests")
        fingerprint = site.wiring.jobs.get(job_id).model.fingerprint
        (lease,) = queue.claim(1, 60, fingerprints=[fingerprint])
        expect(page.locator("h1")).to_contain_text("running")
        queue.finish(lease, results_of(lease))
        expect(page.locator("#progress")).to_contain_text("of 6")
        site.wiring.jobs.complete(lease.job_id)
        expect(page.locator("h1")).to_contain_text("completed")
        expect(page.locator(".tile").first).to_contain_text("6")
        assert page.locator("[hx-trigger*=every]").count() == 0
        page.get_by_text("Delete …").click()
        page.get_by_role("button", name="Delete this job").click()
        expect(page.get_by_role("link", name="by hand <b>")).to_be_visible()
