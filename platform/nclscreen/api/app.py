"""The HTTP application: routes, the same errors everywhere, and what no browser of a stranger may do."""

from __future__ import annotations

from fastapi import FastAPI

from nclscreen import __version__
from nclscreen.api import health, jobs, pictures, reviews, verdicts
from nclscreen.api.problems import add_problem_handlers
from nclscreen.api.same_origin import SameOrigin
from nclscreen.wiring import Wiring

#: bytes of a request's body; the largest is a submission
_LARGEST_BODY = 1 << 20

_ABOUT = """Screening photographs for tampering: jobs, verdicts, and the pictures that show where.

Lists come in pages: `data`, `has_more`, and `next`, which is the cursor of the following page with the same filters.
Parameters that are not known are refused. Errors are problem details (RFC 9457) with a stable `type`."""


def create_app(wiring: Wiring) -> FastAPI:
    """An ASGI application on this database and these storages. Needs no Ray."""
    app = FastAPI(
        title="nclscreen",
        version=__version__,
        description=_ABOUT,
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        max_body_size=_LARGEST_BODY,
    )
    app.state.wiring = wiring
    add_problem_handlers(app)
    app.include_router(health.router)
    app.include_router(jobs.router, prefix="/v1")
    app.include_router(verdicts.router, prefix="/v1")
    app.include_router(reviews.router, prefix="/v1")  # before the pictures, whose last part may be any word
    app.include_router(pictures.router, prefix="/v1")
    app.add_middleware(SameOrigin)
    return app
