"""Puts the pages beside the API: the same application, the same callers, the same database."""

from __future__ import annotations

from fastapi import APIRouter, Depends, FastAPI

from jobs.domain.access import Scope
from nclscreen.api.admission import needs
from nclscreen.pages import (
    assets,
    audit,
    bulk,
    cases,
    gallery,
    image,
    job,
    jobs,
    keys,
    models,
    review,
    second_looks,
    settings,
    sign_in,
    steering,
    submit,
)

#: each with the scope that whatever changes something needs; looking needs `read`
ROUTERS: tuple[tuple[APIRouter, Scope], ...] = (
    (settings.router, Scope.READ),
    (models.router, Scope.ADMIN),
    (keys.router, Scope.ADMIN),
    (submit.router, Scope.SUBMIT),  # before jobs: "new" is no job
    (jobs.router, Scope.SUBMIT),
    (job.router, Scope.SUBMIT),
    (gallery.router, Scope.REVIEW),
    (cases.router, Scope.REVIEW),
    (bulk.router, Scope.REVIEW),
    (audit.router, Scope.REVIEW),
    (second_looks.router, Scope.REVIEW),
    (review.router, Scope.REVIEW),
    (image.router, Scope.REVIEW),
    (steering.router, Scope.SUBMIT),  # behind all: its last part is any word
)


def add_pages(app: FastAPI) -> None:
    """`app`: made by `nclscreen.api.create_app`, which refuses what pages of others send."""
    for open_router in (assets.router, sign_in.router):
        app.include_router(open_router, include_in_schema=False)
    for router, writing in ROUTERS:
        app.include_router(router, dependencies=[Depends(needs(writing))], include_in_schema=False)
