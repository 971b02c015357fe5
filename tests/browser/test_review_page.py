"""The desk where images are reviewed, by keyboard, in a real browser."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from support.browsing import watching
from support.page_server import Site, site_with
from support.screened_jobs import Shot, photo_bytes

from jobs.domain import Decision, NewReview, VerdictRef

pytestmark = pytest.mark.browser

IMAGES = 200
UNREVIEWED = "/review?flagged=true&review=unreviewed"
#: measures from a key to the frame in which another photograph, complete, stands on the page
STOP_WATCH = """() => {
  window.took = [];
  const photograph = () => document.querySelector("#layers .photograph");
  addEventListener("keydown", () => {
    const before = photograph(), began = performance.now();
    const look = () => {
      const now = photograph();
      if (now && now !== before && now.complete && now.naturalWidth) took.push(performance.now() - began);
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }, true);
}"""
NEXT_IS_THERE = """() => {
  const next = current.nextElementSibling;
  return !next || next.pictures?.every((each) => each.complete && each.naturalWidth);
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    shots = [
        Shot(key=f"{i:03d}.jpg", score=0.99 - i / 1000, data=photo_bytes(640, 420, seed=i % 7)) for i in range(IMAGES)
    ]
    with site_with(tmp_path_factory.mktemp("review"), shots) as found:
        yield found


@pytest.fixture
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    shots = [Shot(key=f"{i}.jpg", score=0.9 - i / 100, data=photo_bytes(240, 160, seed=i)) for i in range(6)]
    shots.append(Shot(key="plain.jpg", score=0.8, keep_heatmap=False))
    with site_with(tmp_path_factory.mktemp("small"), shots) as found:
        yield found


def looked_at(page: Page) -> str:
    return page.locator("#panel h2 .name").inner_text()


def decisions(site: Site) -> dict[int, str]:
    return {each.ref.ordinal: str(each.decision) for each in site.wiring.reviews.of_job(site.job.job.id)}


def waited_for(page: Page, condition: Callable[[], bool]) -> None:
    """Look again and again while the browser works, with an end to patience."""
    for _ in range(200):
        if condition():
            return
        page.wait_for_timeout(50)
    pytest.fail("it did not come about")


def held(site: Site) -> set[int]:
    """The images that somebody is looking at."""
    return set(site.wiring.review_leases.of(site.job.job.id))


def holders(site: Site) -> set[str]:
    return {lease.holder for lease in site.wiring.review_leases.of(site.job.job.id).values()}


def written(page: Page) -> None:
    """What was decided has arrived."""
    page.evaluate("writing")


def test_two_hundred_images_are_reviewed_by_keyboard(browser: Browser, site: Site) -> None:
    with watching(browser, site.page(UNREVIEWED)) as page:
        page.evaluate(STOP_WATCH)
        keys = [("c", "confirmed"), ("r", "rejected"), ("u", "unsure")]
        for number in range(IMAGES):
            assert looked_at(page) == f"{number:03d}.jpg"
            page.wait_for_function(NEXT_IS_THERE)
            page.keyboard.press(keys[number % 3][0])
            if number < IMAGES - 1:
                page.wait_for_function("(number) => took.length > number", arg=number)
        written(page)
        took = page.evaluate("took")
        expect(page.locator("#said")).to_have_text("This was the last image")
    assert decisions(site) == {number: keys[number % 3][1] for number in range(IMAGES)}
    assert len(took) == IMAGES - 1
    assert statistics.quantiles(took, n=20)[-1] < 100, took


def test_keys_move_decide_and_take_back(browser: Browser, small: Site) -> None:
    with watching(browser, small.page("/review?flagged=true")) as page:
        press = page.keyboard.press
        press("ArrowRight")
        press("ArrowRight")
        assert looked_at(page) == "2.jpg"
        press("ArrowLeft")
        assert looked_at(page) == "1.jpg"
        press("c")
        press("r")
        assert looked_at(page) == "3.jpg"
        press("z")
        assert looked_at(page) == "2.jpg"
        expect(page.locator("#panel .verdict .decision")).to_have_text("unreviewed")
        written(page)
        assert decisions(small) == {1: "confirmed"}
        press("ArrowLeft")
        press("n")
        assert looked_at(page) == "2.jpg"
        press("t")
        page.keyboard.type("cruz ?")
        press("Escape")
        press("u")
        written(page)
        assert decisions(small) == {1: "confirmed", 2: "unsure"}
        assert small.wiring.reviews.of(VerdictRef(job_id=small.job.job.id, ordinal=2))[-1].note == "cruz ?"
        page.reload()
        assert looked_at(page) == "3.jpg"


def test_keys_are_told_and_can_be_switched_off(browser: Browser, small: Site) -> None:
    with watching(browser, small.page("/review?flagged=true")) as page:
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        page.keyboard.press("c")
        page.get_by_label("Single keys do this").uncheck()
        page.keyboard.press("Escape")
        page.keyboard.press("c")
        page.keyboard.press("ArrowRight")
        assert looked_at(page) == "0.jpg"
        assert decisions(small) == {}


def test_zoom_and_overlay_stay_from_image_to_image(browser: Browser, small: Site) -> None:
    with watching(browser, small.page("/review?flagged=true")) as page:
        overlay, layers = page.locator("#layers .overlay"), page.locator("#layers")
        opacity = "each => getComputedStyle(each).opacity"
        page.get_by_role("slider", name="Overlay").fill("40")
        assert overlay.evaluate(opacity) == "0.4"
        page.locator("#stage").click()
        page.keyboard.down(" ")
        assert overlay.evaluate(opacity) == "0"
        page.keyboard.up(" ")
        assert overlay.evaluate(opacity) == "0.4"
        page.keyboard.press("+")
        box = page.locator("#stage").bounding_box()
        assert box
        page.mouse.move(box["x"] + 300, box["y"] + 200)
        page.mouse.down()
        page.mouse.move(box["x"] + 360, box["y"] + 240, steps=3)
        page.mouse.up()
        place = layers.evaluate("each => each.style.transform")
        assert "scale(1.5)" in place
        assert "translate(0%" not in place
        page.keyboard.press("ArrowRight")
        assert looked_at(page) == "1.jpg"
        assert layers.evaluate("each => each.style.transform") == place
        assert overlay.evaluate(opacity) == "0.4"
        page.keyboard.press("0")
        assert "scale(1)" in layers.evaluate("each => each.style.transform")


def test_somebody_elses_word_is_shown_before_mine_is_written(browser: Browser, small: Site) -> None:
    other = small.wiring.verdicts.at(VerdictRef(job_id=small.job.job.id, ordinal=0))
    with watching(browser, small.page("/review?flagged=true"), expected="status of 412") as page:
        small.wiring.reviews.add(
            other, NewReview(decision=Decision.REJECTED, reviewer="bob", note="the same as last week")
        )
        page.keyboard.press("c")
        expect(page.get_by_role("alert")).to_contain_text("Somebody has reviewed this image meanwhile")
        assert looked_at(page) == "0.jpg"
        expect(page.locator("#panel")).to_contain_text("the same as last week")
        page.keyboard.press("c")
        written(page)
        assert decisions(small) == {0: "confirmed"}


def test_what_is_not_written_is_said(browser: Browser, small: Site) -> None:
    with watching(browser, small.page("/review?flagged=true"), expected="net::ERR_FAILED") as page:
        page.route("**/reviews", lambda route: route.abort())
        page.keyboard.press("c")
        expect(page.get_by_role("alert")).to_contain_text("nothing was written")
        assert looked_at(page) == "0.jpg"
        expect(page.locator("#panel .verdict .decision")).to_have_text("unreviewed")
        assert page.locator("#queue li").first.get_attribute("data-review") == ""


def test_photographs_are_blurred_until_asked_for(browser: Browser, small: Site) -> None:
    with watching(browser, f"{small.url}/settings?next=/jobs/{small.job.job.id}/review") as page:
        page.get_by_label("Blur photographs").check()
        page.get_by_role("button", name="Save").click()
        photograph, blur = page.locator("#layers .photograph"), "each => getComputedStyle(each).filter"
        assert "blur" in photograph.evaluate(blur)
        assert "grayscale(1)" in photograph.evaluate(blur)
        page.keyboard.press("v")
        assert photograph.evaluate(blur) == "none"
        page.keyboard.press("ArrowRight")
        assert "blur" in photograph.evaluate(blur)


def test_it_goes_without_scripts(browser: Browser, small: Site) -> None:
    with watching(browser, small.page(UNREVIEWED), java_script_enabled=False) as page:
        expect(page.locator("#layers .overlay")).to_be_visible()
        page.get_by_label("Note").fill("by hand")
        page.get_by_role("button", name="Confirm").click()
        assert looked_at(page) == "1.jpg"
        page.get_by_role("button", name="Unsure").click()
        assert looked_at(page) == "2.jpg"
        page.locator("#queue a").nth(2).click()
        assert looked_at(page) == "4.jpg"
    assert decisions(small) == {0: "confirmed", 1: "unsure"}


def test_where_nothing_was_decided_nothing_is_taken_back(browser: Browser, small: Site) -> None:
    with watching(browser, small.page("/review?flagged=true")) as page:
        page.keyboard.press("z")
        expect(page.locator("#said")).to_have_text("There is nothing to take back")
        assert page.get_by_role("alert").count() == 0
    assert decisions(small) == {}


def test_two_people_are_given_different_images(browser: Browser, small: Site) -> None:
    """Bob's queue goes round what ann looks at, also what she comes to while his page is open."""
    with watching(browser, small.page(UNREVIEWED)) as ann:
        assert looked_at(ann) == "0.jpg"
        with watching(browser, small.page(UNREVIEWED)) as bob:
            assert looked_at(bob) == "3.jpg"
            bob.keyboard.press("c")
            assert looked_at(bob) == "4.jpg"
            written(bob)
            bob.evaluate("lease()")
            for name in ("1.jpg", "2.jpg", "3.jpg", "3.jpg"):
                ann.keyboard.press("ArrowRight")
                ann.evaluate("lease()")
                assert looked_at(ann) == name
            expect(ann.locator("#said")).to_have_text("This was the last image")
            assert len(holders(small)) == 2
            bob.goto(small.page("/images/0"))  # who leaves holds nothing
            waited_for(ann, lambda: len(holders(small)) == 1)


def test_a_page_that_is_loaded_again_keeps_its_images(browser: Browser, small: Site) -> None:
    with watching(browser, small.page(UNREVIEWED)) as page:
        for _ in range(3):
            page.reload()
        waited_for(page, lambda: held(small) == {0, 1, 2})
        page.wait_for_timeout(300)  # for whatever the page before had still to say
        assert held(small) == {0, 1, 2}


def test_a_direct_link_says_who_looks_at_it(browser: Browser, small: Site) -> None:
    small.wiring.review_leases.take(small.job.job.id, [0, 2], "desk of another", "Ödön <b>")
    with watching(browser, small.page("/images/0")) as page:
        expect(page.get_by_role("status").filter(has_text="Ödön <b> is looking at this image")).to_be_visible()
    with watching(browser, small.page(UNREVIEWED + "&at=0")) as page:
        expect(page.locator("#held")).to_have_text("Ödön <b> is looking at this image")
        page.keyboard.press("ArrowRight")
        assert looked_at(page) == "1.jpg"
        expect(page.locator("#held")).to_be_hidden()
        page.keyboard.press("ArrowRight")
        assert looked_at(page) == "3.jpg"


def test_a_sample_is_drawn_and_reviewed(browser: Browser, small: Site) -> None:
    with watching(browser, small.page()) as page:
        page.get_by_label("Images", exact=True).fill("10")
        page.get_by_role("button", name="Draw a sample").click()
        page.get_by_role("link", name="Review the sample").click()
        page.wait_for_url("**/review?audit=1*")
        for _ in range(7):
            page.keyboard.press("c")
            written(page)
        page.goto(small.page())
        expect(page.get_by_text("0 of 7 images are still unreviewed")).to_be_visible()
        expect(page.get_by_text("100.0 %").first).to_be_visible()


def test_a_second_look_is_blind(browser: Browser, small: Site) -> None:
    found = small.wiring.verdicts.at(VerdictRef(job_id=small.job.job.id, ordinal=0))
    small.wiring.second_looks.set_share(small.job.job.id, 1.0)
    small.wiring.reviews.add(found, NewReview(decision=Decision.REJECTED, reviewer="bob", note="what bob saw"))
    with watching(browser, small.page("/review?second_look=wanted")) as page:
        assert looked_at(page) == "0.jpg"
        expect(page.locator("#panel")).not_to_contain_text("what bob saw")
        page.keyboard.press("c")
        written(page)
        page.keyboard.press("z")
        written(page)
        expect(page.locator("#panel")).not_to_contain_text("bob")
        page.keyboard.press("c")
        written(page)
    assert small.wiring.second_looks.counts(small.job.job.id)["conflict"] == 1
