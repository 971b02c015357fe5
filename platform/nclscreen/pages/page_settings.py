"""What somebody has set for his own browser: kept in its cookies, so that pages without scripts heed it too."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

from fastapi import Request, Response

_NAME, _CAREFUL = "nclscreen-name", "nclscreen-careful"
_YEAR_S = 365 * 24 * 3600
_LONGEST_NAME = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class PageSettings:
    """How one browser wants its pages."""

    #: in whose name reviews are written where no key says it
    name: str | None = None
    #: photographs are blurred and grey until asked for
    careful: bool = False


def page_settings(request: Request) -> PageSettings:
    """What the browser has sent; what makes no sense is as if it were not set."""
    name = unquote(request.cookies.get(_NAME, "")).strip()
    usable = 0 < len(name) <= _LONGEST_NAME and name.isprintable()
    return PageSettings(name=name if usable else None, careful=request.cookies.get(_CAREFUL) == "1")


def keep(response: Response, settings: PageSettings) -> None:
    """Have the browser send these from now on."""
    for cookie, value in ((_NAME, quote(settings.name or "")), (_CAREFUL, "1" if settings.careful else "")):
        if value:
            response.set_cookie(cookie, value, max_age=_YEAR_S, path="/", httponly=True, samesite="lax")
        else:
            response.delete_cookie(cookie, path="/", httponly=True, samesite="lax")
