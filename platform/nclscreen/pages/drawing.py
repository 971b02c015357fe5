"""Draws pages: a template, who asks, and the headers that keep a browser from doing anything else."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any
from urllib.parse import urlencode, urlsplit

from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment

from jobs.domain.access import Caller
from nclscreen.api.admission import Asking
from nclscreen.html_parts.environment import template_environment
from nclscreen.pages.assets import asset
from nclscreen.pages.page_settings import PageSettings, page_settings
from nclscreen.quantities import duration_in_words, moment_in_words
from nclscreen.visible_text import shorten_middle

_POLICY = "; ".join(
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
        "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
    )
)  # fmt: skip
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    # an Origin of "null" would be refused: no-referrer makes browsers send it with forms
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
    "Vary": "HX-Request",
}


class Pages:
    """Draws what somebody asked for."""

    def __init__(self, request: Request, caller: Caller | None) -> None:
        self._request = request
        self.caller = caller
        self.settings: PageSettings = page_settings(request)

    def cookie(self, name: str) -> str | None:
        """What the browser has kept."""
        return self._request.cookies.get(name)

    @property
    def is_part(self) -> bool:
        """Whether a script of ours asks for a part of a page."""
        return "hx-request" in self._request.headers

    def draw(self, template: str, status_code: int = 200, **context: Any) -> HTMLResponse:
        """The template as a page, or as the part of one that it is."""
        known = {"user": self.caller, "settings": self.settings, "here": self._request.url.path}
        text = _environment().get_template(f"{template}.html.j2").render(known | context)
        return HTMLResponse(text, status_code, headers=_HEADERS)


def _pages(request: Request, caller: Asking) -> Pages:
    return Pages(request, caller)


#: a parameter of this type draws
Drawn = Annotated[Pages, Depends(_pages)]


def see(address: str) -> Response:
    """Go there, after something was changed."""
    return RedirectResponse(address, status_code=303, headers={"Cache-Control": "no-store"})


def own_address(written: str | None, otherwise: str) -> str:
    """An address of these pages that came from outside; anything else is `otherwise`."""
    if not written or not written.startswith("/") or written.startswith(("//", "/\\")) or not written.isprintable():
        return otherwise
    parts = urlsplit(written)
    return otherwise if parts.scheme or parts.netloc else written


def address(path: str, asked: Mapping[str, Any] | None = None, **more: Any) -> str:
    """A path with its query; what is not set is left out."""
    said = {name: value for name, value in {**(asked or {}), **more}.items() if value is not None}
    words = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in said.items()}
    return f"{path}?{urlencode(words)}" if words else path


def _short(key: str) -> str:
    """A key where there is little room: names of files differ at their ends."""
    return shorten_middle(key, 27)


@cache
def _environment() -> Environment:
    environment = template_environment("nclscreen.pages")
    environment.filters |= {"moment": moment_in_words, "duration": duration_in_words, "short": _short}
    environment.globals |= {"asset": asset, "address": address}
    return environment
