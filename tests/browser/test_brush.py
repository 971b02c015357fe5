"""The brush in a real browser: what arrives is where the stroke was, in the photograph's coordinates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, expect
from support.browsing import watching
from support.drawings import box_mask, png_of, values_of
from support.page_server import Site, site_with
from support.screened_jobs import Shot, photo_bytes

from jobs.domain import Decision, NewReview, VerdictRef
from jobs.domain.drawings import Drawing, DrawingKind
from jobs.reviews.drawing_png import read_drawing
from jobs.reviews.errors import DrawingNotFound

pytestmark = pytest.mark.browser

WIDTH, HEIGHT = 600, 400
QUEUE = "/review?flagged=true"
#: left, top, width and height of the photograph on the screen
SHOWN = """each => {
  const box = each.getBoundingClientRect();
  const scale = Math.min(box.width / each.naturalWidth, box.height / each.naturalHeight);
  const [width, height] = [scale * each.naturalWidth, scale * each.naturalHeight];
  return [box.left + (box.width - width) / 2, box.top + (box.height - height) / 2, width, height];
}"""

#: whether nothing is drawn on the present image
EMPTY = """() => {
  const canvas = document.querySelector("#layers canvas.sketch");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.every((value) => value === 0);
}"""


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    shots = [Shot(key=f"{i}.jpg", score=0.9 - i / 100, data=photo_bytes(WIDTH, HEIGHT, seed=i)) for i in range(3)]
    shots.append(Shot(key="plain.jpg", score=0.6, data=photo_bytes(WIDTH, HEIGHT), keep_heatmap=False))
    with site_with(tmp_path_factory.mktemp("brush"), shots) as found:
        yield found


def ref(site: Site, ordinal: int = 0) -> VerdictRef:
    return VerdictRef(job_id=site.job.job.id, ordinal=ordinal)


def on_screen(page: Page, places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Where places of the photograph are, which are given in its pixels."""
    page.wait_for_function("() => document.querySelector('#layers .photograph').naturalWidth > 0")
    left, top, width, height = page.locator("#layers .photograph").evaluate(SHOWN)
    return [(left + x / WIDTH * width, top + y / HEIGHT * height) for x, y in places]


def stroke(page: Page, *places: tuple[float, float], button: Any = "left") -> None:
    first, *others = on_screen(page, places)
    page.mouse.move(*first)
    page.mouse.down(button=button)
    for place in others:
        page.mouse.move(*place, steps=8)
    page.mouse.up(button=button)


def sent(page: Page, site: Site, ordinal: int = 0) -> NDArray[np.uint8]:
    """Confirm, and what is kept then; at the photograph's size here."""
    page.keyboard.press("c")
    page.evaluate("writing")
    labels = values_of(site.wiring.drawings.of(ref(site, ordinal)).png)
    assert labels.shape == (HEIGHT, WIDTH)
    return labels


def spread(labels: NDArray[np.uint8], value: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the pixels with this value."""
    rows, columns = np.flatnonzero((labels == value).any(axis=1)), np.flatnonzero((labels == value).any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def test_a_stroke_arrives_where_it_was_drawn(browser: Browser, site: Site) -> None:
    with watching(browser, site.page(QUEUE)) as page:
        page.keyboard.press("b")
        expect(page.locator("#brush")).to_have_attribute("aria-pressed", "true")
        stroke(page, (100, 120), (300, 120), (300, 250))
        labels = sent(page, site)
        assert page.locator("#panel h2 .name").inner_text() == "1.jpg"
        assert page.locator("#layers canvas.sketch").evaluate("each => each.width") == WIDTH
    assert set(np.unique(labels)) == {0, 255}
    for x, y in ((100, 120), (200, 120), (300, 120), (300, 200), (300, 249)):
        assert labels[y, x] == 255, (x, y)
    assert np.allclose(spread(labels, 255), (100, 120, 300, 250), atol=14), "the width of the brush"
    assert labels[200, 200] == 0
    (review,) = site.wiring.reviews.of(ref(site))
    assert review.decision is Decision.CONFIRMED
    assert review.drawing is not None
    assert review.drawing.kind is DrawingKind.MASK
    assert site.wiring.reviews.of(ref(site, 1)) == []


def test_zoomed_and_moved_it_arrives_in_the_same_place_finer(browser: Browser, site: Site) -> None:
    with watching(browser, site.page(QUEUE)) as page:
        page.keyboard.press("b")
        for _ in range(4):
            page.keyboard.press("+")
        middle, beside = on_screen(page, [(300, 200), (320, 215)])
        page.keyboard.down("Shift")
        page.mouse.move(*middle)
        page.mouse.down()
        page.mouse.move(*beside, steps=3)
        page.mouse.up()
        page.keyboard.up("Shift")
        assert np.allclose(on_screen(page, [(300, 200)])[0], beside, atol=1), "it moved with the pointer"
        stroke(page, (280, 190), (330, 190))
        page.keyboard.press("0")
        labels = sent(page, site)
    assert np.allclose(spread(labels, 255), (280, 190, 330, 190), atol=4)
    assert labels[190, 300] == 255


def test_strokes_are_undone_erased_and_cleared(browser: Browser, site: Site) -> None:
    with watching(browser, site.page(QUEUE)) as page:
        page.keyboard.press("b")
        stroke(page, (100, 100), (500, 100))
        stroke(page, (100, 300), (500, 300))
        page.keyboard.press("Control+z")
        stroke(page, (300, 60), (300, 140), button="right")
        page.keyboard.press("ArrowRight")
        assert page.evaluate(EMPTY)
        page.keyboard.press("ArrowLeft")  # and what was drawn is still there
        labels = sent(page, site)
        assert spread(labels, 255)[3] < 120, "the second one was taken back"
        assert (labels[100, 200], labels[100, 300], labels[100, 400]) == (255, 0, 255)
        stroke(page, (100, 100), (500, 100))
        page.keyboard.press("e")
        stroke(page, (90, 100), (510, 100))
        page.keyboard.press("e")
        stroke(page, (200, 200), (210, 200))
        page.get_by_role("button", name="Clear").click()
        page.keyboard.press("c")
        page.evaluate("writing")
    assert site.wiring.reviews.of(ref(site, 1))[-1].drawing is None, "nothing was left to be sent"


def test_what_is_taken_back_has_no_drawing_any_more(browser: Browser, site: Site) -> None:
    with watching(browser, site.page(QUEUE)) as page:
        page.keyboard.press("b")
        stroke(page, (100, 100), (200, 100))
        sent(page, site)
        page.keyboard.press("z")
        page.evaluate("writing")
        expect(page.locator("#panel .verdict .decision")).to_have_text("unreviewed")
        expect(page.locator("#layers .drawing")).to_have_count(0)
    with pytest.raises(DrawingNotFound):
        site.wiring.drawings.of(ref(site))


def test_scribbles_say_some_pixels(browser: Browser, site: Site) -> None:
    with watching(browser, site.page(QUEUE)) as page:
        page.keyboard.press("b")
        page.keyboard.press("m")
        stroke(page, (100, 100), (500, 100))
        page.keyboard.press("s")
        page.keyboard.press("[")
        stroke(page, (100, 300), (500, 300))
        labels = sent(page, site)
    assert set(np.unique(labels)) == {0, 128, 255}
    assert (labels[100, 300], labels[300, 300], labels[200, 300]) == (255, 128, 0)
    assert (labels == 128).sum() < (labels == 255).sum(), "a smaller brush"
    assert site.wiring.drawings.of(ref(site)).kind is DrawingKind.SCRIBBLES


def test_the_heatmap_is_a_first_mask(browser: Browser, site: Site) -> None:
    with watching(browser, site.page(QUEUE)) as page:
        page.keyboard.press("b")
        page.get_by_role("button", name="Start from the heatmap").click()
        page.wait_for_function("() => current.sketch.labels.some((label) => label === 255)")
        labels = sent(page, site)
        page.locator("#queue a").nth(3).click()
        expect(page.get_by_role("button", name="Start from the heatmap")).to_be_hidden()
    assert labels[200, 300] == 255
    assert labels[:80].max() == 0
    assert 0.01 < (labels == 255).mean() < 0.3


def test_nothing_is_sent_with_another_decision(browser: Browser, site: Site) -> None:
    with watching(browser, site.page(QUEUE)) as page:
        page.keyboard.press("b")
        stroke(page, (100, 100), (500, 100))
        page.keyboard.press("r")
        page.evaluate("writing")
    (review,) = site.wiring.reviews.of(ref(site))
    assert (review.decision, review.drawing) == (Decision.REJECTED, None)


def mask_of(name: str, site: Site) -> Drawing:
    drawing = read_drawing(DrawingKind.MASK, png_of(box_mask(WIDTH, HEIGHT)), (WIDTH, HEIGHT))
    found = site.wiring.verdicts.at(ref(site))
    site.wiring.reviews.add(found, NewReview(decision=Decision.CONFIRMED, reviewer=name, drawing=drawing))
    return drawing


def test_who_comes_later_sees_what_was_drawn_and_by_whom(browser: Browser, site: Site) -> None:
    mask_of("Ann <b>", site)
    with watching(browser, site.page(QUEUE)) as page:
        drawing = page.get_by_role("img", name="a mask by Ann <b>")
        expect(drawing).to_be_visible()
        assert drawing.evaluate("async each => { await each.decode(); return each.naturalWidth }") == WIDTH
        expect(page.locator("#panel")).to_contain_text("a mask by Ann <b>")
        page.keyboard.press("d")
        expect(drawing).to_be_hidden()
        page.keyboard.press("d")
        page.keyboard.press("b")
        page.get_by_role("button", name="Start from the drawing").click()
        page.wait_for_function("() => current.sketch?.labels.some((label) => label === 255)")
        stroke(page, (400, 300), (500, 300))
        labels = sent(page, site)
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("b")
        expect(page.locator("#layers .drawing")).to_be_visible()
    assert labels[10, 10] == labels[300, 450] == 255
    assert labels[10, 400] == 0


def test_what_was_drawn_is_seen_without_scripts(browser: Browser, site: Site) -> None:
    mask_of("ann", site)
    for path in (QUEUE, "/images/0"):
        with watching(browser, site.page(path), java_script_enabled=False) as page:
            expect(page.get_by_role("img", name="a mask by ann").first).to_be_visible()


def test_a_finger_draws(browser: Browser, site: Site) -> None:
    with watching(browser, site.page(QUEUE), has_touch=True) as page:
        page.get_by_role("button", name="Brush").tap()
        touch = page.context.new_cdp_session(page)
        first, last = on_screen(page, [(200, 200), (400, 200)])
        steps = [(first[0] + (last[0] - first[0]) * part / 6, first[1]) for part in range(7)]
        for kind, place in (("touchStart", steps[0]), *(("touchMove", each) for each in steps[1:])):
            points = [{"x": place[0], "y": place[1]}]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        labels = sent(page, site)
    assert np.allclose(spread(labels, 255), (200, 200, 400, 200), atol=14)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_its_tools(browser: Browser, site: Site, scheme: str) -> None:
    mask_of("ann", site)
    with watching(browser, site.page(QUEUE), color_scheme=scheme, viewport={"width": 360, "height": 800}) as page:
        page.get_by_role("button", name="Brush").click()
        page.get_by_role("button", name="Scribbles").click()
        page.get_by_role("button", name="Authentic").click()
        stroke(page, (100, 100), (500, 100))
        found = Axe().run(page)
        assert [each["id"] for each in found.response["violations"]] == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        page.goto(site.page("/images/0"))
        expect(page.get_by_role("img", name="a mask by ann")).to_be_visible()
        assert [each["id"] for each in Axe().run(page).response["violations"]] == []
        page.get_by_role("link", name="Draw on it").click()
        page.wait_for_url("**/review?at=0")


@pytest.mark.parametrize("size", [(5000, 3333), (3333, 5000), (2049, 7), (1, 9000), (2048, 1365), (1001, 667), (3, 2)])
def test_the_server_takes_the_size_of_every_sketch(browser: Browser, site: Site, size: tuple[int, int]) -> None:
    with watching(browser, site.page(QUEUE)) as page:
        width, height = page.evaluate("size => { const of = new Sketch(...size); return [of.width, of.height] }", size)
    assert max(width, height) == min(2048, max(size))
    kept = read_drawing(DrawingKind.MASK, png_of(np.full((height, width), 255, np.uint8)), size)
    assert (kept.width, kept.height) == (width, height)


def test_a_drawing_that_is_larger_than_a_farewell_may_be_arrives(browser: Browser, site: Site) -> None:
    """What a browser goes on sending when its page is left has 64 KiB at most."""
    noise = "place => [0, 128, 255][Math.floor((Math.abs(Math.sin(place) * 1e4) % 1) * 3)]"
    with watching(browser, site.page(QUEUE)) as page:
        page.keyboard.press("b")
        page.keyboard.press("m")
        drawn = page.evaluate(f"() => {{ current.sketch.fill({noise}); return [...current.sketch.labels] }}")
        labels = sent(page, site)
    assert labels.ravel().tolist() == drawn
    assert len(site.wiring.drawings.of(ref(site)).png) > 48_000


def test_a_drawing_that_cannot_be_packed_holds_up_nothing_else(browser: Browser, site: Site) -> None:
    with watching(browser, site.page(QUEUE)) as page:
        page.evaluate("() => { window.CompressionStream = class { constructor() { throw new Error() } } }")
        page.keyboard.press("b")
        stroke(page, (100, 100), (500, 100))
        page.keyboard.press("c")
        expect(page.get_by_role("alert")).to_contain_text("nothing was written")
        assert page.locator("#panel h2 .name").inner_text() == "0.jpg"
        page.keyboard.press("r")
        page.evaluate("writing")
    assert [each.decision for each in site.wiring.reviews.of(ref(site))] == [Decision.REJECTED]
