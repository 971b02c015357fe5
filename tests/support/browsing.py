"""Pages in headless Chromium, and everything they do that they must not do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

_ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@dataclass
class Watched:
    """A page and everything it did that it must not do."""

    page: Page
    trouble: list[str] = field(default_factory=list)


def chromium() -> str:
    """The browser's file; without one these tests are left out, except in CI, where that is a failure."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    reason = "there is no Chromium: apt-get install chromium"
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@contextmanager
def started_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=list(_ARGUMENTS))
        yield started
        started.close()


def opened(browser: Browser, url: str, expected: str = "", **options: object) -> Iterator[Watched]:
    """The page, which must ask nobody but its own server for anything, and say nothing on the console.

    `expected`: what is said there nevertheless, once; a part of it.
    """
    page = browser.new_page(**options)  # type: ignore[arg-type]
    watched = Watched(page)
    page.on("dialog", lambda dialog: (watched.trouble.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("console", lambda message: watched.trouble.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: watched.trouble.append(f"error: {error}"))
    page.on("request", lambda request: _is_own(request.url, url) or watched.trouble.append(f"request: {request.url}"))
    page.goto(url)
    yield watched
    page.close()
    if expected:
        watched.trouble.remove(next((each for each in watched.trouble if expected in each), expected))
    assert watched.trouble == []


@contextmanager
def watching(browser: Browser, url: str, expected: str = "", **options: object) -> Iterator[Page]:
    """The same as a block; leaving it checks that nothing went wrong."""
    pages = opened(browser, url, expected, **{"viewport": {"width": 1280, "height": 860}, **options})
    yield next(pages).page
    assert next(pages, None) is None


def _is_own(asked: str, url: str) -> bool:
    if asked == url or asked.startswith("data:"):
        return True
    there, here = urlsplit(asked), urlsplit(url)
    return here.scheme == "http" and (there.scheme, there.netloc) == (here.scheme, here.netloc)


def lightness(colour: str) -> float:
    red, green, blue = (float(part) for part in colour.removeprefix("rgb(").rstrip(")").split(",")[:3])
    return red + green + blue
