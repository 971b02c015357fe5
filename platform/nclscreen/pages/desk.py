"""Who sits at which browser: images are leased to one browser, under the name in which he reviews."""

from __future__ import annotations

import re
import secrets

from fastapi import Response

from nclscreen.api.reviews import reviewer_of
from nclscreen.pages.drawing import Pages
from nclscreen.services.review_leasing import Reviewer

_COOKIE = "nclscreen-desk"
_WORD = re.compile(r"[A-Za-z0-9_-]{16,64}")


def desk_of(pages: Pages) -> str | None:
    """As whom this browser holds leases; None: it has never reviewed."""
    word = pages.cookie(_COOKIE)
    return f"desk {word}" if word and _WORD.fullmatch(word) else None


def seated(pages: Pages) -> Reviewer:
    """Who reviews here; a browser that never did is somebody new."""
    return Reviewer(holder=desk_of(pages) or f"desk {secrets.token_urlsafe(18)}", name=reviewer(pages))


def keep_seat(response: Response, who: Reviewer) -> None:
    """Have the browser be the same one next time, until it is closed."""
    word = who.holder.removeprefix("desk ")
    response.set_cookie(_COOKIE, word, path="/", httponly=True, samesite="lax")


def reviewer(pages: Pages) -> str:
    """In whose name reviews are written: the key's, or what the browser was told where nobody has one."""
    assert pages.caller is not None  # noqa: S101 - a route that draws knows who asks
    own_name = pages.settings.name if pages.caller.key_id is None and pages.caller.project is None else None
    return reviewer_of(pages.caller, own_name)
