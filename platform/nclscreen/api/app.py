"""The HTTP application: routes, the same errors everywhere, and what no browser of a stranger may do."""

from __future__ import annotations

from fastapi import APIRouter, Depends, FastAPI

from jobs.domain.access import Scope
from jobs.operations.figures import figures
from nclscreen import __version__
from nclscreen.api import (
    audits,
    drawings,
    health,
    jobs,
    keys,
    metrics,
    models,
    pictures,
    review_leases,
    reviews,
    schedules,
    scoring,
    second_looks,
    sessions,
    verdicts,
)
from nclscreen.api.admission import Admission, needs
from nclscreen.api.audit import Audited
from nclscreen.api.problems import add_problem_handlers
from nclscreen.api.same_origin import SameOrigin
from nclscreen.metrics import Metrics
from nclscreen.services.live_scoring import HostedScorer, LiveScoring, NoScorer
from nclscreen.tracing import telemetry_of_requests
from nclscreen.wiring import Wiring

#: bytes of a request's body; the largest is a submission
_LARGEST_BODY = 1 << 20

_ABOUT = """Screening photographs for tampering: jobs, verdicts, and the pictures that show where.

Lists come in pages: `data`, `has_more`, and `next`, which is the cursor of the following page with the same filters.
Parameters that are not known are refused. Errors are problem details (RFC 9457) with a stable `type`."""


#: below /v1, each with the scope that whatever changes something needs; looking needs `read`
_ROUTERS: tuple[tuple[APIRouter, Scope], ...] = (
    (jobs.router, Scope.SUBMIT),
    (verdicts.router, Scope.ADMIN),  # nothing there changes anything
    (reviews.router, Scope.REVIEW),  # before the pictures, whose last part may be any word
    (drawings.router, Scope.ADMIN),  # nothing there changes anything
    (audits.router, Scope.REVIEW),
    (second_looks.router, Scope.REVIEW),
    (review_leases.router, Scope.REVIEW),
    (pictures.router, Scope.ADMIN),
    (keys.router, Scope.ADMIN),
    (sessions.router, Scope.READ),
    (models.router, Scope.ADMIN),
    (schedules.router, Scope.ADMIN),
    (scoring.router, Scope.SUBMIT),
)


def create_app(wiring: Wiring, *, open_without_keys: bool = True, scorer: HostedScorer | None = None) -> FastAPI:
    """An ASGI application on this database and these storages. Needs no Ray, except to score a photograph at once.

    `open_without_keys`: everybody may everything as long as there is no key; for addresses of this machine alone.
    `scorer`: asks the hosted model; None: nobody can.
    """
    app = FastAPI(
        title="nclscreen",
        version=__version__,
        description=_ABOUT,
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        max_body_size=_LARGEST_BODY,
        telemetry=telemetry_of_requests(),
    )
    app.state.admission = Admission(wiring, open_without_keys=open_without_keys)
    app.state.metrics = Metrics(lambda: figures(wiring.engine))
    app.state.scoring = LiveScoring(scorer or NoScorer())
    add_problem_handlers(app)
    app.include_router(health.router)
    app.include_router(metrics.router)
    for router, writing in _ROUTERS:
        app.include_router(router, prefix="/v1", dependencies=[Depends(needs(writing))])
    app.add_middleware(Audited, wiring=wiring)
    app.add_middleware(SameOrigin)
    return app
