"""The report in a real browser: what a reader sees, and that no name from outside does anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from support.browsing import Watched, lightness, opened
from support.made_evidence import evidence
from support.screened_jobs import Shot, photo_bytes, screened_job

from jobs.errors import ErrorCode
from nclscreen.html_report import write_report

pytestmark = pytest.mark.browser

EVIL = (
    "a\"'><img src=x onerror=alert(1)>.jpg",
    "b<script>alert(2)<_script>.jpg",
    'c" onclick=alert(3) x=".jpg',
    "d\n\u202egpj.exe",
    "javascript:alert(4)",
    "{{ '7' * 7 }}.jpg",
)


@pytest.fixture(scope="module")
def report_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("report")
    shots = [Shot(key=name, score=0.99 - i / 50, data=photo_bytes(seed=i)) for i, name in enumerate(EVIL)]
    shots += [Shot(key=f"many/{i:02d}.jpg", score=0.8 - i / 100, data=photo_bytes(400, 300)) for i in range(14)]
    shots += [Shot(key=f"calm/{i}.jpg", score=i / 100) for i in range(40)]
    copied = evidence(1, **{EVIL[0]: 0.5}, copies=0.5)
    shots.append(Shot(key="copied.jpg", score=0.5, data=photo_bytes(400, 300), evidence=copied))
    shots += [Shot(key=f"bad {name}", code=ErrorCode.CORRUPT, message=name) for name in EVIL]
    screened = screened_job(root, shots, source=EVIL[0])
    (screened.folder / "many/13.jpg").unlink()
    page = write_report(root / "out", job=screened.job, verdicts=screened.verdicts, open_storage=screened.open_storage)
    yield page.as_uri()
    screened.close()


@pytest.fixture
def watched(browser: Browser, report_url: str) -> Iterator[Watched]:
    yield from opened(browser, report_url, viewport={"width": 1280, "height": 900})


def test_every_flagged_image_has_its_card_and_its_pictures(watched: Watched) -> None:
    page = watched.page
    assert page.locator(".card").count() == 21
    assert page.locator(".card img").count() == 40
    assert page.locator(".card-note").count() == 1
    page.evaluate("for (const image of document.images) image.loading = 'eager'")
    page.wait_for_function("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")


def test_names_from_outside_do_nothing(watched: Watched) -> None:
    page = watched.page
    for card in page.locator(".card .name").all()[: len(EVIL)]:
        card.hover()
        card.click()
    names = page.locator(".card .name").all_text_contents()[: len(EVIL)]
    assert names == [name.replace("\n", "\\n").replace("\u202e", "\\u202e") for name in EVIL]
    assert page.locator("h1").text_content() == EVIL[0]
    assert page.locator("img:not([src^='data:'])").count() == 0


def test_a_card_says_what_fired(watched: Watched) -> None:
    said = watched.page.locator(".evidence li")
    assert said.all_text_contents() == [f"{EVIL[0]} differ here", "a region is copied: 2 places"]
    assert said.first.is_visible()


def test_the_policy_stops_what_an_escape_would_let_through(watched: Watched) -> None:
    """The second lock: even markup that got into the page could neither run nor call home."""
    page = watched.page
    failures: list[str | None] = []
    page.on("requestfailed", lambda request: failures.append(request.failure))
    page.evaluate(
        """() => {
            const bad = document.createElement("div");
            bad.innerHTML = '<img src="http://127.0.0.1:9/x.png" onerror="document.title = 1">';
            document.body.append(bad);
            const script = document.createElement("script");
            script.textContent = "document.title = 2";
            document.body.append(script);
        }"""
    )
    page.wait_for_function("[...document.images].every((image) => image.complete || image.loading === 'lazy')")
    assert page.title().startswith("Screening report")
    refused = [entry for entry in watched.trouble if "Content Security Policy" in entry]
    assert len(refused) >= 2
    assert failures == ["csp"]  # stopped before it left, not refused at the other end
    watched.trouble.clear()


def test_the_filter_shows_what_was_asked_for(watched: Watched) -> None:
    page = watched.page
    page.locator("#filter").fill("MANY/0")
    assert page.locator(".card:visible").count() == 10
    assert page.locator("#filter-count").text_content() == "10 of 21 shown"
    page.locator("#filter").fill("")
    assert page.locator(".card:visible").count() == 21


def test_a_pair_opens_larger_by_mouse_and_by_key(watched: Watched) -> None:
    page = watched.page
    pair = page.locator(".pair").nth(8)
    pair.click()
    assert page.locator("dialog[open] img").count() == 2
    assert page.locator("dialog .name").text_content() == "many/02.jpg"
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    pair.focus()
    page.keyboard.press("Enter")
    assert page.locator("dialog[open]").count() == 1
    page.get_by_role("button", name="Close").click()
    assert page.locator("dialog[open]").count() == 0


def test_the_histogram_can_be_read_by_a_screen_reader(watched: Watched) -> None:
    chart = watched.page.get_by_role("img", name="Histogram of 61 scores")
    assert chart.count() == 1
    assert watched.page.locator("rect.bar-flagged").count() > 5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1600])
def test_nothing_sticks_out_at_any_width(browser: Browser, report_url: str, width: int, scheme: str) -> None:
    for watched in opened(browser, report_url, viewport={"width": width, "height": 800}, color_scheme=scheme):
        inside = watched.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert inside
        ink, paper = watched.page.evaluate(
            "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
        )
        assert (lightness(ink) > lightness(paper)) == (scheme == "dark")


def test_it_is_complete_without_scripts(browser: Browser, report_url: str) -> None:
    for watched in opened(browser, report_url, java_script_enabled=False):
        assert watched.page.locator(".card").count() == 21
        assert watched.page.locator(".filter").is_hidden()
        assert watched.page.locator(".failure table tr").count() == 7


def test_it_prints(browser: Browser, report_url: str, tmp_path: Path) -> None:
    for watched in opened(browser, report_url):
        assert watched.page.pdf(path=tmp_path / "report.pdf").startswith(b"%PDF")
