"""Style and scripts: files of this package, named with their hash so that browsers may keep them."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Response

from nclscreen.html_parts.environment import look

router = APIRouter()

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_KEEP = "public, max-age=31536000, immutable"
_NAMES = frozenset({"pages.css", "look.css", "icon.svg", "htmx.min.js", "live.js", "job.js", "gallery.js",
                    "stage.js", "sketch.js", "brush.js", "review.js"})  # fmt: skip


@cache
def _content(name: str) -> bytes:
    if name == "look.css":
        return look().encode()
    return files("nclscreen.pages").joinpath("static", name).read_bytes()


@cache
def asset(name: str) -> str:
    """The address of a file; another one when what is in it is another."""
    return f"/static/{name}?v={hashlib.sha256(_content(name)).hexdigest()[:12]}"


@router.get("/static/{name}")
def get_asset(name: str) -> Response:
    """Asks nobody: there is nothing of anybody in it."""
    if name not in _NAMES:
        return Response(status_code=404)
    headers = {"Cache-Control": _KEEP, "X-Content-Type-Options": "nosniff"}
    return Response(_content(name), media_type=_TYPES[name.rsplit(".", 1)[-1]], headers=headers)
