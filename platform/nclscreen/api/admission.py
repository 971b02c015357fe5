"""Who asks, what he may, and what he sees.

A key comes as `Authorization: Bearer`, or a browser shows the session that it opened with one, or a proxy that is
trusted says who its user is. Where there is no key, and nobody but this machine can ask, everybody may everything.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import cached_property
from typing import Annotated

from fastapi import Depends, Request

from jobs.access import KeyStore, SessionStore
from jobs.access.errors import KeyRefused
from jobs.domain.access import OPERATOR, Caller, Project, ProjectName, Scope
from nclscreen.api.rate_limits import RateLimits
from nclscreen.api.refusals import NotAdmitted, NotAllowed, TooManyRequests
from nclscreen.project_wiring import ProjectWiring
from nclscreen.wiring import Wiring

#: of the session's word; browsers take it only with Secure, from this host, for all of it
COOKIE = "__Host-nclscreen"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_PROXIED = frozenset({Scope.READ, Scope.SUBMIT, Scope.REVIEW})


class Admission:
    """Lets callers in, and shows each what is his."""

    def __init__(self, wiring: Wiring, *, open_without_keys: bool) -> None:
        """`open_without_keys`: nobody but this machine can ask."""
        self.wiring = wiring
        self._open = open_without_keys
        self._rates = RateLimits(wiring.settings.api_rate)

    @property
    def _keys(self) -> KeyStore:
        return self.wiring.keys

    @cached_property
    def sessions(self) -> SessionStore:
        return SessionStore(self.wiring.engine)

    def caller(self, request: Request) -> Caller:
        """Raises NotAdmitted, KeyRefused, TooManyRequests."""
        found = self._by_key(request) or self._by_session(request) or self._by_proxy(request)
        if found is None:
            if not self._open or self._keys.any_in_use():
                raise NotAdmitted("send a key: Authorization: Bearer ncl_...; `nclscreen keys create` makes one")
            return OPERATOR
        if wait_s := self._rates.wait_s(found.key_id or f"proxy {found.name}"):
            raise TooManyRequests(wait_s)
        return found

    def seen_by(self, caller: Caller) -> Wiring:
        """The wiring in which only the caller's project is there. Raises ProjectNotFound."""
        if caller.project is None:
            return self.wiring
        return ProjectWiring(self.wiring, self._project(caller.project))

    def _project(self, name: ProjectName) -> Project:
        return self.wiring.projects.get(name)

    def _by_key(self, request: Request) -> Caller | None:
        kind, _, text = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return None
        return self._keys.caller(text.strip())

    def _by_session(self, request: Request) -> Caller | None:
        word = request.cookies.get(COOKIE)
        if not word:
            return None
        try:
            return self._keys.caller_of(self.sessions.key_id(word))
        except KeyRefused:
            return None  # as if there were no cookie: pages then ask for a key again

    def _by_proxy(self, request: Request) -> Caller | None:
        settings = self.wiring.settings
        if settings.proxy_user_header is None or request.client is None:
            return None
        user = request.headers.get(settings.proxy_user_header)
        if not user or not _within(request.client.host, settings.proxy_networks):
            return None
        return Caller(name=user[:100], scopes=_PROXIED, project=ProjectName(settings.proxy_project))


def _within(host: str, networks: tuple[str, ...]) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(network, strict=False) for network in networks)


def _caller(request: Request) -> Caller:
    admission: Admission = request.app.state.admission
    request.state.caller = caller = admission.caller(request)
    return caller


#: a parameter of this type is who asks
Asking = Annotated[Caller, Depends(_caller)]


def needs(writing: Scope, *, looking: Scope = Scope.READ) -> Callable[..., None]:
    """A dependency of routes: the scopes for whatever may change something, and for looking."""

    def check(request: Request, caller: Asking) -> None:
        wanted = looking if request.method in _SAFE else writing
        if not caller.may(wanted):
            raise NotAllowed(f"the key {caller.name!r} is not good for this: it needs the scope {wanted.value}")

    return check
