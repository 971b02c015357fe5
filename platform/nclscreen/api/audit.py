"""Writes down whatever may have changed something: who, what, to which address, with which answer."""

from __future__ import annotations

import logging

from anyio import to_thread
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs.sql.errors import DATABASE_AWAY
from nclscreen.wiring import Wiring

logger = logging.getLogger(__name__)

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: operations of which nothing is left in minutes: who looks at which image, asked for again and again
_PASSING = frozenset({"lease_images", "release_images"})


class Audited:
    """ASGI middleware: one entry for each such request of somebody who was let in, also where it was refused."""

    def __init__(self, app: ASGIApp, wiring: Wiring) -> None:
        self._app = app
        self._wiring = wiring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _SAFE:
            await self._app(scope, receive, send)
            return
        answered: list[int] = []

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered.append(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            await to_thread.run_sync(self._write, scope, answered[0] if answered else 500)

    def _write(self, scope: Scope, status: int) -> None:
        caller = scope.get("state", {}).get("caller")
        if caller is None:
            return
        action = str(getattr(scope.get("endpoint"), "__name__", scope["method"]))
        if action in _PASSING and status < 400:
            return
        try:
            self._wiring.audit_log.add(caller, action, scope["path"], status)
        except DATABASE_AWAY:
            logger.warning(
                "not in the audit log, the database is away: %s %s by %s", action, scope["path"], caller.name
            )
