"""What is not a page of ours may not make a browser change anything here.

Browsers say of every request where it comes from (Fetch Metadata, `Sec-Fetch-Site`); older ones send `Origin` with
whatever may change something. Programs send neither.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from nclscreen.api.problems import problem_response

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: "none": typed into the address bar
_OURS = frozenset({"same-origin", "none"})


class SameOrigin:
    """ASGI middleware: refuses requests that may change something and come from a page elsewhere."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in _SAFE and _foreign(Headers(scope=scope)):
            refusal = problem_response(403, "cross-origin", "pages of other sites may not change anything here")
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _foreign(headers: Headers) -> bool:
    if (site := headers.get("sec-fetch-site")) is not None:
        return site not in _OURS
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")
